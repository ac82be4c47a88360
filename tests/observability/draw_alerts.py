"""A drawing of the alert page of the lab's Prometheus: python -m tests.observability.draw_alerts > FILE.svg

**A stand-in for Prometheus' own page**, which Debian's package leaves out: it asks srv1's Prometheus what that page asks (`/api/v1/rules`),
and shows what it shows: each rule by its group, its state, and of those that wait or fire since when, with which labels and which words.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from tests.lab.stores import asked
from tests.observability.draw import COLOURS, text

STATES = {"inactive": "green", "pending": "orange", "firing": "red"}
WIDTH, ROW, TOP = 1206, 26, 64
LABELS = {"alertname", "severity"}  # shown in places of their own


def rows(groups: list[dict[str, Any]]) -> Iterator[list[str]]:
    """SVG of each line of the page, drawn at the origin."""
    for group in groups:
        rules = sorted(group["rules"], key=lambda rule: (list(STATES)[::-1].index(rule["state"]), rule["name"]))
        yield [text(14, 18, f"{group['name']}, every {group['interval']:.0f} s", 14)]
        for rule in rules:
            colour = COLOURS[STATES[rule["state"]]]
            count = f" ({len(rule['alerts'])})" if rule["alerts"] else ""
            yield [
                f'<rect x="14" y="2" width="{WIDTH - 28}" height="{ROW - 4}" rx="3" fill="#181b1f" stroke="#2c3235"/>',
                f'<rect x="14" y="2" width="5" height="{ROW - 4}" fill="{colour}"/>',
                text(28, 17, rule["name"] + count, 12),
                text(330, 17, rule["state"], 12, colour),
                text(410, 17, rule["labels"].get("severity", ""), 12),
                text(490, 17, rule["query"][:110], 10, "#8e8e9e"),
            ]
            for alert in rule["alerts"]:
                labels = ", ".join(f"{name}={value}" for name, value in alert["labels"].items() if name not in LABELS)
                yield [
                    text(44, 17, f"since {alert['activeAt'][:19]}Z", 11, colour),
                    text(230, 17, alert["annotations"].get("summary", "")[:90], 11),
                    text(WIDTH - 20, 17, labels[:70], 10, "#8e8e9e", "end"),
                ]


def drawing() -> str:
    """The page as SVG."""
    [answer] = asked([{"path": "rules", "type": "alert"}])
    found: Any = answer
    lines = list(rows(found["groups"]))
    count = {
        state: sum(rule["state"] == state for group in found["groups"] for rule in group["rules"]) for state in STATES
    }
    title = ", ".join(f"{state} {number}" for state, number in count.items())
    body = "".join(
        f'<g transform="translate(0 {TOP + place * ROW})">{"".join(parts)}</g>' for place, parts in enumerate(lines)
    )
    note = "what srv1's Prometheus says; drawn by tests/observability/draw_alerts.py, not by Prometheus"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {TOP + len(lines) * ROW + 14}" font-family="sans-serif">'
        f'<rect width="100%" height="100%" fill="#111217"/>{text(14, 38, f"Alerts: {title}", 22)}'
        f"{text(WIDTH - 14, 38, note, 11, '#8e8e9e', 'end')}{body}</svg>\n"
    )


if __name__ == "__main__":
    sys.stdout.write(drawing())
