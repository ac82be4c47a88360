"""The files of the audit trail, for writing: a record after the other, each sealed with the one before. `audit_receiver.py` writes them.

Runs on a host beside it and beside audit.py (standard library, Python 3.10 or newer).
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections import OrderedDict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from citadelle import pseudonyms
from citadelle.audit import HEAD, NOTHING, Problem, files_of, read_key, seal, unseal

PROGRAM = "/usr/local/lib/citadelle/audit_log.py"
FILE_BYTES, SPARE_BYTES, RECENT = 64 << 20, 64 << 20, 4096


class Log:
    """The log of one host, for writing. Raises Problem when what is there was not written with this key."""

    def __init__(self, folder: Path, key_file: Path) -> None:
        self.folder, self._file, self._size, self._dirty = folder, -1, 0, False
        self.broken: OSError | None = None
        paths = files_of(folder)
        if not key_file.exists() and not paths:
            key_file.write_text(secrets.token_hex(32))
        self._key, self.seq, self._mac, self._day = read_key(key_file), 0, NOTHING, ""
        self.pseudonyms = pseudonyms.opened(key_file.with_name(Path(pseudonyms.FILE).name))
        self.recent: OrderedDict[str, dict[str, Any]] = OrderedDict()  # a dict finds its first past all that is gone
        if self._resume(paths):
            self._open(paths[-1])
        self.append({"event": "start", "missing": max(0, self._head() - self.seq)})
        self.sync()

    def _resume(self, paths: list[Path]) -> bool:
        """Find the newest record that holds; whether the log ends with it. Nothing is repaired: what is wrong stays to be judged."""
        for path in reversed(paths):
            lines = path.read_bytes().splitlines(keepends=True)
            if held := [record for line in lines[-RECENT:] if (record := self._held(line))]:
                self.recent.update({one.get("id", one["mac"]): {"seq": one["seq"], "mac": one["mac"]} for one in held})
                self.seq, self._mac, self._day = held[-1]["seq"], held[-1]["mac"], held[-1]["ts"][:10]
                return path == paths[-1] and self._held(lines[-1]) is not None
        if any(path.stat().st_size for path in paths):
            raise Problem(f"no record in {self.folder} has the key: move the log away, or bring its key back")
        return False

    def _held(self, line: bytes) -> dict[str, Any] | None:
        with contextlib.suppress(Problem):
            return unseal(self._key, line)
        return None

    def _head(self) -> int:
        try:
            return int(unseal(self._key, (self.folder / HEAD).read_bytes())["seq"])
        except (OSError, Problem):
            return 0

    def check(self) -> None:
        """Raises OSError when no request should begin: the rest of the disk is for the records of those under way."""
        if self.broken:
            raise self.broken
        if (state := os.statvfs(self.folder)).f_bavail * state.f_frsize < SPARE_BYTES:
            raise OSError(f"less than {SPARE_BYTES >> 20} MB free in {self.folder}")

    def append(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Write a record, whole or not at all; its number and mac. Raises OSError. What was just written is not written again."""
        if known := self.recent.get(fields.get("id", "")):
            return known
        if self.broken:
            raise self.broken
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")  # noqa: UP017  Python 3.10
        named = {"seq": self.seq + 1, "ts": now, **self.pseudonyms.written(fields), "prev": self._mac}
        line, mac = seal(self._key, named)
        if self._file < 0 or self._size > FILE_BYTES or now[:10] != self._day:
            self._open(self.folder / f"audit-{self.seq + 1:012}.jsonl")
        if os.write(self._file, line) != len(line):
            os.ftruncate(self._file, self._size)
            raise OSError("the disk took half a record")
        self.seq, self._mac, self._day, self._dirty = self.seq + 1, mac, now[:10], True
        self._size += len(line)
        self.recent[fields.get("id", mac)] = done = {"seq": self.seq, "mac": mac}
        if len(self.recent) > RECENT:
            self.recent.popitem(last=False)
        return done

    def _open(self, path: Path) -> None:
        if self._file >= 0:
            os.fsync(self._file)
            os.close(self._file)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._size = os.fstat(self._file).st_size

    def sync(self) -> None:
        """Have all on the disk, then say so in the head. A disk that fails here stops the log until it is started anew."""
        if not self._dirty:
            return
        try:
            os.fdatasync(self._file)
            fresh = self.folder / "head.new"
            fresh.write_bytes(seal(self._key, {"seq": self.seq, "last": self._mac})[0])
            fresh.replace(self.folder / HEAD)
        except OSError as error:
            self.broken = error
        self._dirty = False
