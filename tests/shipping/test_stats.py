"""rsyslog's own words (recorded from 8.2302, shortened) as metrics, by the program as rsyslog runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from citadelle.shipping import stats

SAID = """{ "name": "global", "origin": "dynstats", "values": { } }
{ "name": "siem", "origin": "core.action", "processed": 700, "failed": 0, "suspended": 0 }
{ "name": "siem queue", "origin": "core.queue", "size": 40, "enqueued": 700, "full": 0, "discarded.full": 0, "discarded.nf": 0 }
{ "name": "loki-audit queue", "origin": "core.queue", "size": 3, "enqueued": 10, "full": 2, "discarded.full": 2, "discarded.nf": 0 }
not json
{ "name": "resource-usage", "origin": "impstats", "utime": 17442, "maxrss": 9876 }
"""


def test_what_was_restored_at_a_start_counts_as_delivered_when_it_is(tmp_path: Path) -> None:
    """Counters begin at 0 then, the spool does not: a backlog that drains must not look as if nothing was delivered."""
    restored: dict[str, int] = {}

    def delivered(size: int, enqueued: int) -> float:
        queue = {"siem queue": {"size": size, "enqueued": enqueued}}
        found = stats.samples(queue, restored, tmp_path, 1000)
        return next(value for name, _, value in found if name == "citadelle_logs_delivered_total")

    assert [delivered(5000, 0), delivered(4000, 10), delivered(0, 20)] == [0, 1010, 5020]


def test_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "siem.00000001").write_bytes(b"x" * 600)
    (tmp_path / "siem.00000002").write_bytes(b"x" * 200)
    (tmp_path / "siem.qi").write_bytes(b"x" * 99)
    target = tmp_path / "logs.prom"
    command = [sys.executable, "-I", "-B", str(stats.__file__), str(tmp_path), "1000", str(target)]
    subprocess.run(command, input=SAID.encode(), check=True, timeout=20)
    lines = [line for line in target.read_text().splitlines() if not line.startswith("#")]
    assert lines[:-1] == [
        'citadelle_logs_waiting{leg="siem"} 40', 'citadelle_logs_waiting{leg="loki-audit"} 3',
        'citadelle_logs_delivered_total{leg="siem"} 660', 'citadelle_logs_delivered_total{leg="loki-audit"} 5',
        'citadelle_logs_discarded_total{leg="siem"} 0', 'citadelle_logs_discarded_total{leg="loki-audit"} 2',
        'citadelle_logs_spool_ratio{leg="siem"} 0.80000000000000004', 'citadelle_logs_spool_ratio{leg="loki-audit"} 0',
    ]  # fmt: skip
    assert lines[-1].startswith("citadelle_logs_seen_timestamp_seconds 1")
