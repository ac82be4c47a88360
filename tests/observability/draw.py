"""A drawing of a dashboard from figures of the lab's Prometheus: python -m tests.observability.draw NAME LANGUAGE MINUTES > FILE.svg

**A stand-in for Grafana's own drawing**, which is not here: it takes the JSON that Grafana would get, asks srv1's Prometheus what Grafana
would ask, and draws numbers, lines, bars and bands. What it shows is true; how Grafana shows it is more beautiful.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from html import escape
from typing import Any

from citadelle.observability import dashboards
from tests.conftest import ROOT
from tests.lab.stores import asked

CELL, GAP, TOP = 50, 6, 64
HEIGHT = 30
COLOURS = {"green": "#73bf69", "orange": "#ff9830", "red": "#f2495c", "blue": "#5794f2"}
PALETTE = [
    "#73bf69",
    "#f2cc0c",
    "#8ab8ff",
    "#ff780a",
    "#f2495c",
    "#5794f2",
    "#b877d9",
    "#705da0",
    "#37872d",
    "#fade2a",
    "#447ebc",
]
# From how much on a value is shown in what: Grafana does the same.
SCALES = {
    "s": [(172800, 86400, "d"), (7200, 3600, "h"), (120, 60, "min")],
    **{
        unit: [(10**power, 10**power, f"{word}{end}") for power, word in ((9, "G"), (6, "M"), (3, "k"))]
        for unit, end in (("bytes", "B"), ("bps", "b/s"))
    },
}
Series = list[tuple[str, list[tuple[float, float]]]]


def measured(questions: list[str], seconds: int, step: int) -> list[list[dict[str, Any]]]:
    """What srv1's Prometheus says of each, over the last seconds."""
    end = time.time()
    plain = [text.replace("$__rate_interval", "1m").replace("$__range", f"{seconds}s") for text in questions]
    span: dict[str, str | float] = {"path": "query_range", "start": end - seconds, "end": end, "step": step}
    answers: list[Any] = asked([span | {"query": text} for text in plain])
    return [answer["result"] for answer in answers]


def named(legend: str, labels: dict[str, str]) -> str:
    for name, value in labels.items():
        legend = legend.replace("{{" + name + "}}", value)
    return legend if legend != "__auto" else " ".join(labels.values())


def shown(value: float, unit: str, decimals: int | None = None) -> str:
    if unit == "percentunit":
        return f"{100 * value:.0f} %"
    for least, divisor, word in SCALES.get(unit, []):
        if abs(value) >= least:
            return f"{value / divisor:.1f} {word}"
    word = {"reqps": " req/s", "pps": " p/s", "short": ""}.get(unit, f" {unit}")
    return f"{value:.3g}{word}" if decimals is None else f"{value:.{decimals}f}{word}"


def threshold(panel: dict[str, Any], value: float) -> str:
    steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    return COLOURS[[step["color"] for step in steps if step["value"] is None or value >= step["value"]][-1]]


def text(x: float, y: float, said: str, size: int = 11, colour: str = "#ccccdc", anchor: str = "start") -> str:
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" fill="{colour}" text-anchor="{anchor}">{escape(said)}</text>'
    )


def number(panel: dict[str, Any], series: Series, x: float, y: float, w: float, h: float) -> Iterator[str]:
    field = panel["fieldConfig"]["defaults"]
    value = series[0][1][-1][1]
    options = field["mappings"][0]["options"] if "mappings" in field else {}
    named = options.get(f"{value:.0f}", {})
    said = named.get("text") or shown(value, field["unit"], field.get("decimals"))
    colour = COLOURS[named["color"]] if named else threshold(panel, value)
    yield text(x + w / 2, y + h / 2 + 24, said, 30, colour, "middle")


def graph(panel: dict[str, Any], series: Series, x: float, y: float, w: float, h: float) -> Iterator[str]:
    field = panel["fieldConfig"]["defaults"]
    values = [value for _, points in series for _, value in points if value == value]
    low, high = min([0.0, *values]), field.get("max") or max([0.0, *values]) * 1.1 or 1.0
    times = [when for _, points in series for when, _ in points] or [0.0, 1.0]
    begin, end = min(times), max(max(times), min(times) + 1)
    for part in (0, 0.5, 1):
        level = y + h - 34 - part * (h - 70)
        yield f'<line x1="{x + 52:.0f}" y1="{level:.0f}" x2="{x + w - 8:.0f}" y2="{level:.0f}" stroke="#2c3235"/>'
        yield text(x + 48, level + 4, shown(low + part * (high - low), field["unit"]), 9, "#8e8e9e", "end")
    legend = x + 52
    for place, (name, points) in enumerate(series):
        colour = PALETTE[place % len(PALETTE)]
        spots = " ".join(
            f"{x + 52 + (when - begin) / (end - begin) * (w - 60):.1f},{y + h - 34 - (value - low) / (high - low or 1) * (h - 70):.1f}"
            for when, value in points
            if value == value
        )
        yield f'<polyline points="{spots}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        yield text(legend, y + h - 12, name, 10, colour)
        legend += 7 * len(name) + 14


def bars(panel: dict[str, Any], series: Series, x: float, y: float, w: float, h: float) -> Iterator[str]:
    field = panel["fieldConfig"]["defaults"]
    for place, (name, points) in enumerate(series):
        value, level = points[-1][1], y + 36 + place * min(24, (h - 44) / max(len(series), 1))
        long = max(1, min(1, value / field.get("max", 1)) * (w - 260))
        yield text(x + 170, level + 12, name[-28:], 10, anchor="end")
        yield f'<rect x="{x + 178:.0f}" y="{level:.0f}" width="{long:.0f}" height="14" fill="{threshold(panel, value)}"/>'
        yield text(x + w - 60, level + 12, shown(value, field["unit"]), 10)


def bands(panel: dict[str, Any], series: Series, x: float, y: float, w: float, h: float) -> Iterator[str]:
    times = [when for _, points in series for when, _ in points] or [0.0, 1.0]
    begin, end, row = min(times), max(max(times), min(times) + 1), (h - 44) / max(len(series), 1)
    for place, (name, points) in enumerate(series):
        level = y + 36 + place * row
        yield text(x + 170, level + row / 2 + 4, name[-28:], 10, anchor="end")
        for (when, value), (then, _) in zip(points, [*points[1:], (end, 0.0)], strict=True):
            left, right = (x + 178 + (t - begin) / (end - begin) * (w - 188) for t in (when, then))
            yield (
                f'<rect x="{left:.1f}" y="{level:.1f}" width="{max(0, right - left):.1f}" height="{row * 0.8:.1f}"'
                f' fill="{threshold(panel, value)}"/>'
            )


KINDS = {"stat": number, "timeseries": graph, "bargauge": bars, "state-timeline": bands}


def drawing(board: dict[str, Any], seconds: int) -> str:
    """The dashboard as SVG."""
    all_panels = [panel for panel in board["panels"] if panel["type"] in KINDS]
    asked_of = [(panel, target) for panel in all_panels for target in panel["targets"]]
    found = measured([target["expr"] for _, target in asked_of], seconds, max(5, seconds // 240))
    parts = []
    for panel in all_panels:
        place = panel["gridPos"]
        x, y = place["x"] * CELL + GAP, TOP + place["y"] * HEIGHT + GAP
        w, h = place["w"] * CELL - GAP, place["h"] * HEIGHT - GAP
        series: Series = [
            (named(target["legendFormat"], one["metric"]), [(float(t), float(v)) for t, v in one["values"]])
            for (own, target), results in zip(asked_of, found, strict=True)
            for one in (results if own is panel else [])
        ]
        parts += [f'<rect x="{x}" y="{y}" width="{w}" height="{h}" rx="3" fill="#181b1f" stroke="#2c3235"/>']
        drawn = (
            KINDS[panel["type"]](panel, series, x, y, w, h)
            if series
            else [text(x + w / 2, y + h / 2, "no data", 11, "#8e8e9e", "middle")]
        )
        parts += [text(x + 10, y + 20, panel["title"], 12), *drawn]
    high = TOP + max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in all_panels) * HEIGHT + 30
    note = f"figures of the lab's srv1, {seconds // 60} min; drawn by tests/observability/draw.py, not by Grafana"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {24 * CELL + GAP} {high}" font-family="sans-serif">'
        f'<rect width="100%" height="100%" fill="#111217"/>{text(14, 38, board["title"], 22)}'
        f"{text(24 * CELL - 4, 38, note, 11, '#8e8e9e', 'end')}{''.join(parts)}</svg>\n"
    )


if __name__ == "__main__":
    name, language, minutes = sys.argv[1:]
    source = (ROOT / f"compose/grafana/dashboards/{name}.yaml").read_text()
    sys.stdout.write(drawing(json.loads(dashboards.dashboard(name, source, language)), 60 * int(minutes)))
