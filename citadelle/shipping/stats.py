"""How rsyslog does, for node_exporter: its own counters (impstats), as it hands them over (omprog).

Runs alone on a host (standard library, Python 3.10 or newer): stats.py STATE LIMIT; `STATE` is the folder of its spools, `LIMIT` the bytes
that each may take. In, a line of JSON for each counter, all of them every so many seconds; out, the file, written whole after each of
them. When rsyslog stops, the time in it stands still.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from pathlib import Path
from typing import Any

PROGRAM = "/usr/local/lib/citadelle/shipping/stats.py"
TARGET = Path("/var/lib/node_exporter/textfile/citadelle_logs.prom")
LEGS = ("siem", "loki", "loki-audit")
TEXTS = {
    "citadelle_logs_waiting": "Lines that have not reached their receiver yet.",
    "citadelle_logs_delivered_total": "Lines that have reached it.",
    "citadelle_logs_discarded_total": "Lines that were thrown away because nothing more could wait.",
    "citadelle_logs_spool_ratio": "How much of its spool's space is taken.",
    "citadelle_logs_seen_timestamp_seconds": "When rsyslog has said all this.",
}
Counters = dict[str, dict[str, Any]]


def samples(counters: Counters, state: Path, limit: float, now: float) -> dict[str, list[tuple[str, float]]]:
    """By metric: legs and values."""
    found: dict[str, list[tuple[str, float]]] = {name: [] for name in TEXTS}
    for leg in LEGS:
        queue = counters.get(f"{leg} queue")
        if queue is None:
            continue
        thrown = queue.get("discarded.full", 0) + queue.get("discarded.nf", 0)
        found["citadelle_logs_waiting"].append((leg, queue["size"]))
        found["citadelle_logs_delivered_total"].append((leg, max(0, queue["enqueued"] - thrown - queue["size"])))
        found["citadelle_logs_discarded_total"].append((leg, thrown))
        found["citadelle_logs_spool_ratio"].append((leg, taken(state, leg) / limit))
    found["citadelle_logs_seen_timestamp_seconds"].append(("", now))
    return found


def taken(state: Path, leg: str) -> int:
    """Bytes of a leg's spool."""
    return sum(path.stat().st_size for path in state.glob(f"{leg}.[0-9]*"))


def text(found: dict[str, list[tuple[str, float]]]) -> str:
    """As node_exporter reads it."""
    lines = []
    for name, values in found.items():
        kind = "counter" if name.endswith("_total") else "gauge"
        lines += [f"# HELP {name} {TEXTS[name]}", f"# TYPE {name} {kind}"] if values else []
        lines += [f'{name}{{leg="{leg}"}} {value:.17g}' if leg else f"{name} {value:.17g}" for leg, value in values]
    return "\n".join(lines) + "\n"


def write(path: Path, content: str) -> None:
    """Whole or not at all; for everybody to read."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(content)
    fresh.chmod(0o644)
    fresh.replace(path)


def main(state: Path, limit: float, target: Path) -> None:
    """Take counters until there are none; write when a round of them is over, that is when nothing comes for a moment."""
    counters: Counters = {}
    rest = b""
    while piece := os.read(0, 65536):
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            try:
                counter = json.loads(line)
                counters[counter["name"]] = counter
            except (ValueError, KeyError, TypeError):
                continue
        if not select.select([0], [], [], 0.2)[0]:
            write(target, text(samples(counters, state, limit, time.time())))
    write(target, text(samples(counters, state, limit, time.time())))


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else TARGET)
