"""A log of a receiver, written by the genuine program over its socket."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.receiver import Receiver, receiving

Ask = Callable[..., dict[str, Any]]


class Line:
    """A connection to a receiver: one message out, one answer in."""

    def __init__(self, receiver: Receiver, path: str | None = None) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(20)
        self._socket.connect(path or str(receiver.socket))
        self._file = self._socket.makefile("rwb")

    def ask(self, op: str, **message: Any) -> dict[str, Any]:
        return self.send(json.dumps({"op": op} | message).encode())

    def send(self, line: bytes) -> dict[str, Any]:
        self._file.write(line + b"\n")
        self._file.flush()
        return json.loads(self._file.readline())

    def request(self, identity: str, **fields: Any) -> dict[str, Any]:
        return self.ask("close", record={"id": identity, "status": 200} | fields)

    def close(self) -> None:
        self._file.close()
        self._socket.close()


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Receiver:
    """A log of two files: records 1 to 6 and 7 to 10. Tests work on copies."""
    folder = tmp_path_factory.mktemp("written") / "audit"
    for first, last in ((2, 6), (8, 10)):
        with receiving(folder) as receiver:
            line = Line(receiver)
            for number in range(first, last + 1):
                line.request(f"r{number}", key="alice", counted=1, prompt_tokens=10, completion_tokens=number)
            line.close()
    [path] = receiver.log.glob("audit-*.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:6]))
    (receiver.log / "audit-000000000007.jsonl").write_bytes(b"".join(lines[6:]))
    return receiver


@pytest.fixture
def log(written: Receiver, tmp_path: Path) -> Receiver:
    """A copy of that log, to be damaged."""
    copy = Receiver.at(tmp_path / "copy")
    copy.key.write_text(written.key.read_text())
    for path in written.log.iterdir():
        (copy.log / path.name).write_bytes(path.read_bytes())
    return copy
