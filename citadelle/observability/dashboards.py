"""Dashboards of Grafana: from compose/grafana/dashboards/*.yaml, which people write, to the JSON that Grafana reads. Pure.

A source is `title`, `text`, `since` (how far back it shows at first), `variables` and `panels`, in the order of reading. A panel:

    {kind, title, text, unit, width (of 24), height, ask: [question, ...]} and what it needs of `decimals`, `min`, `max`, `steps`, `states`

`row: title` begins a row. Texts are {en, fr}. A question is an expression, or {ask, name, at: end}: `name` is the line's legend, `at: end`
asks for the newest value alone. Expressions are LogQL where the dashboard or the panel says `source: loki`, else PromQL.
The JSON is the classic model (schema 42), which Grafana 13 takes from files as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from string import ascii_uppercase
from typing import Any

import yaml

WIDTH = 24
SOURCES = ("prometheus", "loki")
# What Grafana calls them; `lines` are lines of logs, `states` bands over time.
KINDS = {
    "number": "stat", "graph": "timeseries", "bars": "bargauge", "table": "table", "lines": "logs", "states": "state-timeline",
}  # fmt: skip
COLOURS = {"good": "green", "fair": "orange", "bad": "red", "plain": "blue"}
_PANEL = {
    "kind",
    "title",
    "text",
    "unit",
    "width",
    "height",
    "ask",
    "source",
    "decimals",
    "min",
    "max",
    "steps",
    "states",
    "stack",
}
Source = Mapping[str, Any]


def dashboard(name: str, source: str, language: str) -> bytes:
    """The JSON of `name`.yaml in a language, `en` or `fr`. Raises KeyError or ValueError where the source is not as above."""
    given = yaml.safe_load(source)
    said = {
        "uid": f"citadelle-{name}",
        "title": given["title"][language],
        "description": given["text"][language],
        "tags": ["citadelle"],
        "schemaVersion": 42,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "timezone": "browser",
        "refresh": "1m",
        "time": {"from": f"now-{given['since']}", "to": "now"},
        "links": [_link(language)],
        "templating": {"list": [_variable(one, language) for one in given.get("variables", [])]},
        "annotations": {"list": []},
        "panels": list(_panels(given, language)),
    }
    return json.dumps(said, indent=1, ensure_ascii=False).encode() + b"\n"


def _said(text: Mapping[str, str], language: str) -> str:
    """A text in a language. A comma in one without quotes would end it, and begin another key."""
    if text.keys() != {"en", "fr"}:
        raise ValueError(f"not a text in English and French: {dict(text)}")
    return text[language]


def _link(language: str) -> dict[str, Any]:
    title = {"en": "All dashboards", "fr": "Tous les tableaux"}[language]
    return {
        "type": "dashboards", "tags": ["citadelle"], "asDropdown": True, "includeVars": False, "keepTime": True, "targetBlank": False,
        "title": title, "tooltip": "", "icon": "", "url": "",
    }  # fmt: skip


def _variable(given: Source, language: str) -> dict[str, Any]:
    source = given.get("source", "prometheus")
    return {
        "type": "query", "name": given["name"], "label": given["title"][language], "datasource": _datasource(source),
        "query": {"query": given["ask"], "refId": given["name"]}, "refresh": 2, "sort": 1, "multi": True, "includeAll": True,
        "allValue": given.get("all", ".*"), "current": {"text": ["All"], "value": ["$__all"]}, "options": [],
    }  # fmt: skip


def _datasource(source: str) -> dict[str, str]:
    if source not in SOURCES:
        raise ValueError(f"no such source: {source}")
    return {"type": source, "uid": source}


def _panels(given: Source, language: str) -> Iterator[dict[str, Any]]:
    """Placed from left to right; what does not fit any more begins the next line."""
    x = y = height = 0
    for number, panel in enumerate(given["panels"], 1):
        width, own = (WIDTH, 1) if "row" in panel else (panel["width"], panel["height"])
        if x + width > WIDTH:
            x, y, height = 0, y + height, 0
        place = {"h": own, "w": width, "x": x, "y": y}
        x, height = x + width, max(height, own)
        if "row" in panel:
            title = panel["row"][language]
            yield {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}
        else:
            yield _panel(panel, language, given.get("source", "prometheus")) | {"id": number, "gridPos": place}


def _panel(panel: Source, language: str, source: str) -> dict[str, Any]:
    if unknown := panel.keys() - _PANEL:
        raise ValueError(f"unknown in a panel: {', '.join(sorted(unknown))}")
    kind, source = panel["kind"], panel.get("source", source)
    asked = [one if isinstance(one, dict) else {"ask": one} for one in panel["ask"]]
    made = {
        "type": KINDS[kind],
        "title": _said(panel["title"], language),
        "description": _said(panel["text"], language),
        "datasource": _datasource(source),
        "targets": [_target(one, letter, source, kind) for one, letter in zip(asked, ascii_uppercase, strict=False)],
        "options": _options(kind),
    }
    if kind != "lines":
        made["fieldConfig"] = {"defaults": _field(panel, language), "overrides": []}
    if kind == "table":
        made["transformations"] = [
            {"id": "labelsToFields", "options": {"mode": "columns"}},
            {"id": "merge", "options": {}},
        ]
    return made


def _target(asked: Source, letter: str, source: str, kind: str) -> dict[str, Any]:
    newest = asked.get("at") == "end" or kind == "table"
    found: dict[str, Any] = {"refId": letter, "datasource": _datasource(source), "expr": asked["ask"].strip()}
    found |= {"legendFormat": asked.get("name", "__auto")}
    if source == "loki":
        return found | {"queryType": "instant" if newest else "range"}
    return found | {"instant": newest, "range": not newest, "format": "table" if kind == "table" else "time_series"}


def _field(panel: Source, language: str) -> dict[str, Any]:
    steps = panel.get("steps", [["plain", None]])
    found: dict[str, Any] = {"unit": panel["unit"], "color": {"mode": "thresholds"}}
    found |= {name: panel[name] for name in ("decimals", "min", "max") if name in panel}
    found["thresholds"] = {
        "mode": "absolute",
        "steps": [{"color": COLOURS[colour], "value": value} for colour, value in steps],
    }
    if panel["kind"] == "graph":
        stacked = {"group": "A", "mode": "normal" if panel.get("stack") else "none"}
        custom = {"lineWidth": 1, "fillOpacity": 12, "showPoints": "never", "spanNulls": False, "stacking": stacked}
        found |= {"color": {"mode": "palette-classic"}, "custom": custom}
    if "states" in panel:
        options = {
            str(value): {"text": text[language], "color": COLOURS[colour], "index": place}
            for place, (value, colour, text) in enumerate(panel["states"])
        }
        found["mappings"] = [{"type": "value", "options": options}]
    return found


def _options(kind: str) -> dict[str, Any]:
    last = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    found: dict[str, dict[str, Any]] = {
        "number": {"reduceOptions": last, "colorMode": "value", "graphMode": "area", "textMode": "auto", "orientation": "auto"},
        "graph": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "bars": {"reduceOptions": last, "displayMode": "basic", "orientation": "horizontal", "showUnfilled": True},
        "table": {"showHeader": True, "cellHeight": "sm"},
        "lines": {
            "showTime": True, "wrapLogMessage": True, "enableLogDetails": True, "sortOrder": "Descending", "dedupStrategy": "none",
            "showLabels": False, "showCommonLabels": False, "prettifyLogMessage": False,
        },
        "states": {"showValue": "never", "mergeValues": True, "rowHeight": 0.85, "alignValue": "left"},
    }  # fmt: skip
    return found[kind]
