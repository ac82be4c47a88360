"""How often a run crossed the wire: for benchmarks. Written to the file named by CITADELLE_COUNTERS when the process ends."""

from __future__ import annotations

import atexit
import json
import os
from collections import Counter
from pathlib import Path

counts: Counter[str] = Counter()


def count(host: str, what: str) -> None:
    """Add one `what` ("commands", "shells", "powershell", "connections", "files") for `host`."""
    counts[f"{host} {what}"] += 1


def _write() -> None:
    target = os.environ.get("CITADELLE_COUNTERS")
    if target:
        Path(target).write_text(json.dumps(counts, indent=1, sort_keys=True))


atexit.register(_write)
