"""How rsyslog does, for node_exporter: its own counters (impstats), as it hands them over (omprog).

Runs on a host beside textfile.py (standard library, Python 3.10 or newer): stats.py STATE LIMIT; `STATE` is the folder of its spools,
`LIMIT` the bytes that each may take. In, a line of JSON for each counter, all of them every so many seconds; out, the file, written whole
after each of them. When rsyslog stops, the time in it stands still.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from pathlib import Path
from typing import Any

if not __package__:  # run as a file, on a host as in the checkout
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from citadelle import textfile
from citadelle.textfile import Sample

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


def samples(counters: Counters, restored: dict[str, int], state: Path, limit: float) -> list[Sample]:
    """Of each leg. `restored`: lines that it had from before rsyslog's start, which its counters do not count; found at the first look."""
    found: list[Sample] = []
    for leg in LEGS:
        queue = counters.get(f"{leg} queue")
        if queue is None:
            continue
        thrown = queue.get("discarded.full", 0) + queue.get("discarded.nf", 0)
        come = queue["enqueued"] + restored.setdefault(leg, max(0, queue["size"] + thrown - queue["enqueued"]))
        values = (queue["size"], come - thrown - queue["size"], thrown, taken(state, leg) / limit)
        found += [(name, {"leg": leg}, value) for name, value in zip(TEXTS, values, strict=False)]
    return [*found, ("citadelle_logs_seen_timestamp_seconds", {}, time.time())]


def taken(state: Path, leg: str) -> int:
    """Bytes of a leg's spool."""
    return sum(path.stat().st_size for path in state.glob(f"{leg}.[0-9]*"))


def main(state: Path, limit: float, target: Path) -> None:
    """Take counters until there are none; write when a round of them is over, that is when nothing comes for a moment."""
    counters: Counters = {}
    restored: dict[str, int] = {}
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
            textfile.write(target, textfile.text(samples(counters, restored, state, limit), TEXTS))
    textfile.write(target, textfile.text(samples(counters, restored, state, limit), TEXTS))


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else TARGET)
