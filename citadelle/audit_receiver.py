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
import contextlib
import json
import os
import select
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

if not __package__:  # run as a file: its folder is the package `citadelle`, on a host as in the checkout
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from citadelle.audit import KEY, LOG, Problem, checked, noted, totals
from citadelle.audit_log import Log

PROGRAM = "/usr/local/lib/citadelle/audit_receiver.py"
FOLDER = "/run/citadelle/audit"  # of the socket; the gateway sees this folder, so a new socket in it too
_CLOSE = b'{"op":"close"'  # as the gateway begins such a line, for whose answer nobody waits
LINE_BYTES, SYNC_SECONDS = 1 << 20, 1.0
_READ_BYTES, PEERS = 1 << 15, 64  # of a turn; connections at once, besides root's own


class Receiver:
    """Answers the gateway's connections. A loop of its own, not asyncio's: each request waits for a turn of it."""

    def __init__(self, log: Log) -> None:
        self.log, self._poll = log, select.epoll()
        self._peers: dict[int, Peer] = {}

    def serve(self, listener: socket.socket) -> None:
        """Until SIGTERM; what was written is on the disk at the end. What is open then, the gateway closes with the next receiver."""
        told, tells = socket.socketpair()
        tells.setblocking(False)
        signal.set_wakeup_fd(tells.fileno())
        for one in (signal.SIGTERM, signal.SIGINT):
            signal.signal(one, lambda *_: None)
        listener.setblocking(False)
        for end in (told, listener):
            self._poll.register(end, select.EPOLLIN)
        due = time.monotonic()
        while True:
            for number, _ in self._poll.poll(max(0.0, due - time.monotonic())):
                if number == told.fileno():
                    self.log.sync()
                    return
                if number == listener.fileno():
                    self._accept(listener)
                elif not self._peers[number].turn():
                    self._peers.pop(number).end()
            if time.monotonic() >= due:
                self.log.sync()
                self.log.pseudonyms.look()
                due = time.monotonic() + SYNC_SECONDS

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):  # gone again already
            line, _ = listener.accept()
            peer = Peer(line, self.log, self._poll)
            if peer.is_own or sum(not one.is_own for one in self._peers.values()) < PEERS:
                self._poll.register(line, select.EPOLLIN)
                self._peers[line.fileno()] = peer
            else:
                line.close()


class Peer:
    """One connection. Lines that came together are answered together, those before the first record to be written at once."""

    def __init__(self, line: socket.socket, log: Log, poll: select.epoll) -> None:
        self._line, self._log, self._poll = line, log, poll
        self._opened, self._rest, self._owed = dict[str, dict[str, Any]](), b"", b""
        line.setblocking(False)
        credentials = line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        self.is_own = int.from_bytes(credentials[4:8], sys.byteorder) == os.geteuid()

    def turn(self) -> bool:
        """Read and answer, or go on answering; False when the connection is over. Who does not read its answers is not heard either."""
        try:
            if self._owed:
                self._say(b"")
                return True
            data = self._line.recv(_READ_BYTES)
            return data != b"" and self._heard(data)
        except BlockingIOError:
            return True
        except OSError:
            return False

    def end(self) -> None:
        """What was open was lost with the gateway."""
        self._line.close()
        for record in self._opened.values():
            with contextlib.suppress(OSError):
                self._log.append(record | {"event": "request", "code": "gateway_lost"})

    def _heard(self, data: bytes) -> bool:
        *lines, self._rest = (self._rest + data).split(b"\n")
        waited = next((place for place, line in enumerate(lines) if line.startswith(_CLOSE)), len(lines))
        self._answer_all(lines[:waited])
        if 0 < waited < len(lines):
            os.sched_yield()  # who waits for these goes on first, also where both share a processor
        self._answer_all(lines[waited:])
        return len(self._rest) <= LINE_BYTES

    def _answer_all(self, lines: list[bytes]) -> None:
        if lines:
            self._say(b"".join(json.dumps(self._answer(line)).encode() + b"\n" for line in lines))

    def _say(self, text: bytes) -> None:
        before, self._owed = self._owed, self._owed + text
        with contextlib.suppress(BlockingIOError):
            self._owed = self._owed[self._line.send(self._owed) :]
        if bool(before) != bool(self._owed):
            self._poll.modify(self._line, select.EPOLLOUT if self._owed else select.EPOLLIN)

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
        except Exception as error:  # whatever is said, this process goes on
            return {"error": f"not understood: {type(error).__name__}"}

    def _note(self, record: dict[str, Any]) -> dict[str, Any]:
        if not self.is_own:
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
    Receiver(log).serve(listener(arguments.socket))
    return 0


if __name__ == "__main__":
    sys.exit(main())
