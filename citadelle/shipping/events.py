"""Takes events of Windows from the PC around a WSL distribution, and lays them down for rsyslog: each once, none lost.

Runs on a host as root beside textfile.py (standard library, Python 3.10 or newer): events.py [FOLDER [FIGURES]]; started by the PC's task
(citadelle/operations/events_program.ps1) through wsl.exe, for each hand-over. It says first how far it has come, as a line of JSON:
{row: number of the last record}; takes lines until there are no more; says how many it has taken, when they are on the disk.

    {"row", "begun": true}                          the channel was begun anew: records are counted from the start again
    {"row", "channel", "record", "provider", "number", "level", "keywords", "ts", "user", "severity", "data"}     an event
    {"row", "at": 7}                                looked at up to there, whatever went along
    {"row", "failed": "id of an error"}             could not be read; told, and not the end of the others

How far it has come stands beside the events, so neither can be ahead of the other: what was written and not counted when the power went
is counted from the file. What comes again is left out. Files are deleted after a week (retention.py): rsyslog reads them at once.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import sys
import time
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

if not __package__:  # run as a file, on a host as in the checkout
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from citadelle import textfile

PROGRAM = "/usr/local/lib/citadelle/shipping/events.py"
FOLDER = Path("/var/log/citadelle/windows")
TARGET = Path("/var/lib/node_exporter/textfile/citadelle_windows.prom")
ROW = re.compile(r"[a-z][a-z_]{0,31}")
VALUE_LENGTH, LINE_LENGTH = 512, 32_768
_TS = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,9})?Z")
TEXTS = {
    "citadelle_windows_handover_timestamp_seconds": "When the Windows PC has handed its events over last.",
    "citadelle_windows_channel_read": "Whether all of a row of the table could be read and taken at the last hand-over.",
}
Fields = dict[str, Any]


def record(given: Fields) -> Fields:
    """An event as a line of the log has it. Raises ValueError, KeyError or TypeError for what is none."""
    found = _TS.fullmatch(given["ts"])
    number, level, place = int(given["number"]), int(given["level"]), int(given["record"])
    if not found or not 0 < place < 1 << 63 or not isinstance(given["data"], dict):
        raise ValueError("no event")
    texts = {
        name: str(given.get(name) or "")[:VALUE_LENGTH]
        for name in ("channel", "provider", "user", "keywords", "severity")
    }
    data = {str(name)[:64]: str(value)[:VALUE_LENGTH] for name, value in given["data"].items()}
    return {
        "ts": f"{found[1]}{(found[2] or '.000')[:4].ljust(4, '0')}Z", "event": "windows",
        "id": f"{texts['channel']}:{place}", "row": given["row"],
        "record": place, "number": number, "level": level, **texts, "data": data,
    }  # fmt: skip


class Log:
    """The folder of a host's events: how far it has come, and the file of the day."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder, self._lock = folder, (folder / "lock").open("a")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._state = folder / "state.json"
        known: Fields = json.loads(self._state.read_text()) if self._state.exists() else {}
        self.marks: dict[str, int] = known.get("marks", {})
        self.failed: dict[str, str] = {}
        self._file = folder / f"events-{datetime.now(timezone.utc):%Y-%m-%d}.jsonl"  # noqa: UP017  Python 3.10
        self._recover(known.get("file", ""), known.get("size", 0))

    def _recover(self, name: str, size: int) -> None:
        """Count what was written and not counted, and end a line that was cut off."""
        for path in sorted(self._folder.glob("events-*.jsonl")):
            if path.name < name:
                continue
            with path.open("rb+") as file:
                file.seek(size if path.name == name else 0)
                written = file.read()
                if written and not written.endswith(b"\n"):
                    file.write(b"\n")
            for line in written.splitlines():
                try:
                    found = json.loads(line)
                    self.marks[found["row"]] = max(self.marks.get(found["row"], 0), int(found["record"]))
                except (ValueError, KeyError, TypeError):
                    continue

    def take(self, lines: Iterable[str]) -> int:
        """Lay down what is new; how many that was. All is on the disk when it comes back."""
        taken = 0
        with self._file.open("a") as file:
            for line in lines:
                taken += self._line(line, file)
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        known = {"marks": self.marks, "file": self._file.name, "size": size}
        fresh = self._state.with_name("state.json.new")
        with fresh.open("w") as file:
            json.dump(known, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._state)
        return taken

    def _line(self, line: str, file: Any) -> bool:
        row = "none"
        try:
            given = json.loads(line[:LINE_LENGTH])
            row = ROW.fullmatch(given["row"])[0]  # type: ignore[index]
            if "failed" in given:
                self.failed[row] = str(given["failed"])[:128]
            elif "begun" in given:
                self.marks[row] = 0
            elif "at" in given:
                self.marks[row] = max(self.marks.get(row, 0), int(given["at"]))
            elif (event := record(given))["record"] > self.marks.get(row, 0):
                file.write(json.dumps(event, separators=(",", ":")) + "\n")
                self.marks[row] = event["record"]
                return True
        except (ValueError, KeyError, TypeError, RecursionError):
            self.failed[row] = "a line that is no event"
        return False

    def figures(self, now: float) -> str:
        """What node_exporter shows."""
        found: list[textfile.Sample] = [("citadelle_windows_handover_timestamp_seconds", {}, now)]
        rows = sorted(self.marks.keys() | self.failed.keys())
        found += [("citadelle_windows_channel_read", {"row": row}, row not in self.failed) for row in rows]
        return textfile.text(found, TEXTS)


def main(folder: Path = FOLDER, target: Path = TARGET) -> None:
    """One hand-over."""
    log = Log(folder)
    print(json.dumps(log.marks), flush=True)
    sys.stdin.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    taken = log.take(sys.stdin)
    now = time.time()
    textfile.write(target, log.figures(now))
    print(taken, flush=True)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
