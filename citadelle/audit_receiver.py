"""Writes the audit trail on the gateway's host: a process of its own behind a Unix socket, with a key that the gateway never has.

Runs on a host beside audit.py (standard library, Python 3.10 or newer): audit_receiver.py [--socket PATH] [--log DIR] [--key FILE];
without --socket it takes the one that systemd gives. A line of JSON in, a line of JSON out, in the same order:

    {"op": "ping"}                        {"ok": 0}, when a record could be written now
    {"op": "open", "record": {...}}       the same; from now on the record is not lost when the gateway is
    {"op": "close", "record": {...}}      {"id", "seq", "mac"} of the record, written; with the same id again: not written again
    {"op": "note", "event", "record"}     the same, of root alone: something else has happened (audit.EVENTS)
    {"op": "totals", "since": [ts, ...], "keys": [id, ...]}   {"totals": {key: [[requests, tokens in, tokens out], ...]}}, for each span

or {"error": text}. What is no field of a record, or longer than a name, is refused. Ids of keys are written as pseudonyms (pseudonyms.py).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import secrets
import signal
import socket
import sys
from collections import OrderedDict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

if not __package__:  # run as a file: its folder is the package `citadelle`, on a host as in the checkout
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from citadelle import pseudonyms
from citadelle.audit import HEAD, KEY, LOG, NOTHING, Problem, checked, files_of, noted, read_key, seal, totals, unseal

PROGRAM = "/usr/local/lib/citadelle/audit_receiver.py"
FOLDER = "/run/citadelle/audit"  # of the socket; the gateway sees this folder, so a new socket in it too
_CLOSE = b'{"op":"close"'  # as the gateway begins such a line, for whose answer nobody waits
FILE_BYTES, SPARE_BYTES, LINE_BYTES, RECENT, SYNC_SECONDS = 64 << 20, 64 << 20, 1 << 20, 4096, 1.0


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


class Receiver:
    """Answers the gateway's connections."""

    def __init__(self, log: Log) -> None:
        self.log, self.stopping = log, False

    async def serve(self, listener: socket.socket) -> None:
        """Until SIGTERM; what was written is on the disk at the end."""
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        server = await loop.create_unix_server(lambda: Peer(self), sock=listener)
        while not stop.is_set():
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(stop.wait(), SYNC_SECONDS)
            self.log.sync()
            self.log.pseudonyms.look()
        self.stopping = True
        server.close()


class Peer(asyncio.Protocol):
    """One connection. Lines that came together are answered together, those before the first record to be written at once."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver, self._log = receiver, receiver.log
        self._opened, self._rest = dict[str, dict[str, Any]](), b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """For asyncio."""
        self._transport: Any = transport
        credentials = transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        self._own = int.from_bytes(credentials[4:8], sys.byteorder) == os.geteuid()

    def data_received(self, data: bytes) -> None:
        """For asyncio."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LINE_BYTES:
            self._transport.abort()
            return
        waited = next((place for place, line in enumerate(lines) if line.startswith(_CLOSE)), len(lines))
        for part in (lines[:waited], lines[waited:]):
            if part:
                self._transport.write(b"".join(json.dumps(self._answer(line)).encode() + b"\n" for line in part))

    def pause_writing(self) -> None:
        """Who does not read its answers is not heard either."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """For asyncio."""
        self._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """What was open was lost with the gateway. Not when this process stops: the gateway closes them with the next receiver."""
        for record in [] if self._receiver.stopping else self._opened.values():
            with contextlib.suppress(OSError):
                self._log.append(record | {"event": "request", "code": "gateway_lost"})

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            message = json.loads(line.decode())
            if message["op"] == "totals":
                found = totals(self._log.folder, message["since"])
                return {"totals": self._log.pseudonyms.summed(found, message.get("keys", []))}
            if message["op"] == "note":
                return self._note(noted(message["event"], message["record"]))
            return self._record(message["op"], checked(message.get("record", {"id": ""})))
        except OSError as error:
            return {"error": f"cannot write: {error}"}
        except (ValueError, KeyError, TypeError, IndexError) as error:
            return {"error": f"not understood: {type(error).__name__}"}

    def _note(self, record: dict[str, Any]) -> dict[str, Any]:
        if not self._own:
            raise ValueError("not yours to say")
        return {"id": record["id"], **self._log.append(record)}

    def _record(self, word: str, record: dict[str, Any]) -> dict[str, Any]:
        if word == "close":
            done = self._log.append({"event": "request", **record})
            self._opened.pop(record["id"], None)
            return {"id": record["id"], **done}
        self._log.check()
        if word == "open":
            if record["id"] not in self._log.recent:  # closed already: it came late
                self._opened[record["id"]] = record
        elif word != "ping":
            raise ValueError("no such word")
        return {"ok": 0}


def listener(path: Path | None) -> socket.socket:
    """The socket: the one that systemd hands over, or a new one at `path`, for everybody who may enter its folder."""
    if path is None:
        return socket.socket(fileno=3)
    path.unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX)
    made.bind(str(path))
    path.chmod(0o666)
    made.listen()
    return made


def main() -> int:
    """Serve until told to stop; 1 when the log that is there is another key's."""
    parser = argparse.ArgumentParser(description="Write an audit trail.")
    parser.add_argument("--socket", type=Path)
    parser.add_argument("--log", type=Path, default=Path(LOG))
    parser.add_argument("--key", type=Path, default=Path(KEY))
    arguments = parser.parse_args()
    os.umask(0o077)
    try:
        log = Log(arguments.log, arguments.key)
    except (Problem, OSError, ValueError) as problem:
        print(f"audit: cannot start: {problem}", file=sys.stderr)
        return 1
    asyncio.run(Receiver(log).serve(listener(arguments.socket)))
    log.sync()
    return 0


if __name__ == "__main__":
    sys.exit(main())
