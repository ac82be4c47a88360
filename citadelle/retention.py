"""Deletes what is older than the settings allow, and proves it: afterwards it looks again what the oldest is, of every store.

Runs on a host beside audit.py, keys.py and textfile.py, as root, by a timer (standard library, Python 3.10 or newer):

retention.py --audit-days N [--pseudonym-days N] [--journal-days N] [--figures-days N] [--logs-days N]

    audit     whole files of the audit trail, oldest first; where it begins now is written down first, or its judge would miss them
    secrets   of pseudonyms: the newest one makes place for another after --pseudonym-days; one whose records are gone is destroyed
    keys      entries of keys that ended before any record of them that is left
    journal   the host's journal
    windows   events of the Windows PC around a distribution, a week after they were handed over, where there are any
    figures   Prometheus deletes them itself, logs Loki: they are only looked at

A trail that does not hold is not touched: what is wrong stays to be judged, and the alert about its age comes too.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

if not __package__:  # run as a file: its folder is the package `citadelle`, on a host as in the checkout
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from citadelle import audit, keys, pseudonyms, textfile
from citadelle.textfile import Sample

PROGRAM = "/usr/local/lib/citadelle/retention.py"
TARGET = Path("/var/lib/node_exporter/textfile/citadelle_retention.prom")
DATA = Path("/var/lib/citadelle")
WINDOWS, WINDOWS_DAYS = Path("/var/log/citadelle/windows"), 7
DAY = 86400
TEXTS = {
    "citadelle_retention_oldest_timestamp_seconds": "When the oldest that is left of a store was written, looked at after the deletion.",
    "citadelle_retention_limit_seconds": "How long that store may keep what it has.",
    "citadelle_retention_ok": "Whether the store could be looked at, and what was due be deleted.",
    "citadelle_retention_ran_timestamp_seconds": "When the job has run.",
}
Oldest = float | None


def trail(before: float) -> Oldest:
    """Delete the files whose newest record is older; the newest file stays. Raises Problem where the chain does not hold."""
    folder = Path(audit.LOG)
    paths = audit.files_of(folder)
    if not paths:
        return None
    due = 0
    while due + 1 < len(paths) and _when(paths[due].read_bytes().splitlines()[-1]) < before:
        due += 1
    if due:
        audit.verify(folder, audit.read_key(Path(audit.KEY)), audit.began())
        textfile.write(Path(audit.BEGIN), paths[due].stem.partition("-")[2])
        for path in paths[:due]:
            path.unlink()
        print(f"audit: deleted {due} files, up to {paths[due - 1].name}")
    with audit.files_of(folder)[0].open("rb") as file:
        return _when(file.readline())


def _when(line: bytes) -> float:
    return _stamp(json.loads(line)["ts"])


def _stamp(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def ended_keys(before: float) -> Oldest:
    """Forget keys that ended before; when the first of the others ended."""
    ring = keys.Keys(Path(keys.FOLDER))
    with ring.alone():
        entries = ring.entries()
        kept = [entry for entry in entries if (_ended(entry) or before) >= before]
        if len(kept) < len(entries):
            ring.write(kept)
            print(f"keys: forgot {len(entries) - len(kept)}")
    return min((end for entry in kept if (end := _ended(entry)) and end < time.time()), default=None)


def _ended(entry: dict) -> Oldest:
    """When a key was revoked or ran out, whichever was first; None while neither is named."""
    return min((_stamp(entry[name]) for name in ("revoked", "expires") if name in entry), default=None)


def rotated(before: float) -> None:
    """Have a new secret, where the newest is from before. What fails here fails in the look at them too, and is a figure there."""
    with contextlib.suppress(OSError, ValueError, LookupError):
        if pseudonyms.opened(Path(pseudonyms.FILE)).rotate(before):
            print("secrets: a new one from now on")


def destroyed_secrets(before: float) -> Oldest:
    """Destroy secrets that were replaced before; when the first of the others was."""
    if paths := audit.files_of(
        Path(audit.LOG)
    ):  # records may be left that are older: of a trail that does not hold, of the oldest file
        with paths[0].open("rb") as file:
            before = min(before, _when(file.readline()))
    held = pseudonyms.opened(Path(pseudonyms.FILE))
    if count := held.destroy(before):
        print(f"secrets: destroyed {count}")
    return held.replaced()


def journal(before: float) -> Oldest:
    """Have journald delete whole files; the time of the first entry that is left."""
    command = ["journalctl", "--quiet", "--rotate", f"--vacuum-time={int(time.time() - before)}s"]
    subprocess.run(command, stdin=subprocess.DEVNULL, check=True, timeout=600)
    return first_entry()


def first_entry() -> Oldest:
    """Of the journal."""
    command = ["journalctl", "--quiet", "--no-pager", "--output=short-unix"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as reader:
        line = reader.stdout.readline() if reader.stdout else ""
        reader.kill()
    return float(line.split()[0]) if line else None


def windows(before: float) -> Oldest:
    """Delete files of Windows' events, which rsyslog has read at once; the time of the oldest that is left."""
    kept = []
    for path in WINDOWS.glob("events-*.jsonl"):
        if (written := path.stat().st_mtime) < before:
            path.unlink()
        else:
            kept.append(written)
    return min(kept, default=None)


def figures(_before: float) -> Oldest:
    """The oldest block of Prometheus."""
    blocks = [json.loads(path.read_text()) for path in (DATA / "prometheus").glob("*/meta.json")]
    return min((block["minTime"] / 1000 for block in blocks), default=None)


def lines(_before: float) -> Oldest:
    """The oldest file of lines that Loki has."""
    return min((path.stat().st_mtime for path in (DATA / "loki/chunks").rglob("*") if path.is_file()), default=None)


STORES: dict[str, Callable[[float], Oldest]] = {
    "audit": trail, "secrets": destroyed_secrets, "keys": ended_keys, "journal": journal, "windows": windows,
    "figures": figures, "logs": lines,
}  # fmt: skip


def looked(days: dict[str, int], now: float) -> Iterator[Sample]:
    """Each store after its deletion; one that fails takes no other along."""
    for store, limit in days.items():
        labels = {"store": store}
        try:
            oldest = STORES[store](now - limit * DAY)
        except (OSError, ValueError, LookupError, audit.Problem, keys.Problem, subprocess.SubprocessError) as error:
            print(f"{store}: nothing is deleted: {error}", file=sys.stderr)
            yield "citadelle_retention_ok", labels, 0
            continue
        yield "citadelle_retention_ok", labels, 1
        yield "citadelle_retention_limit_seconds", labels, limit * DAY
        # An empty store is as young as can be.
        yield "citadelle_retention_oldest_timestamp_seconds", labels, now if oldest is None else oldest
    yield "citadelle_retention_ran_timestamp_seconds", {}, now


def main() -> int:
    """Delete, look, write; 0 unless something could not be deleted."""
    parser = argparse.ArgumentParser(description="Delete what is older than it may be.")
    for store in ("audit", "journal", "figures", "logs"):
        parser.add_argument(f"--{store}-days", type=int, required=store == "audit")
    parser.add_argument("--pseudonym-days", type=int)
    given = parser.parse_args()
    wanted = dict.fromkeys(("audit", "secrets", "keys"), given.audit_days) | {"journal": given.journal_days}
    wanted |= {"figures": given.figures_days, "logs": given.logs_days}
    wanted |= {"windows": WINDOWS_DAYS} if WINDOWS.is_dir() else {}
    if given.pseudonym_days:
        rotated(time.time() - given.pseudonym_days * DAY)
    samples = list(looked({store: days for store, days in wanted.items() if days}, time.time()))
    textfile.write(TARGET, textfile.text(samples, TEXTS))
    return 0 if all(value for name, _, value in samples if name == "citadelle_retention_ok") else 1


if __name__ == "__main__":
    sys.exit(main())
