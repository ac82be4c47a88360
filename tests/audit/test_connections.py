"""Whoever connects to the receiver: what one of them says or leaves unread is nobody else's harm."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from citadelle.audit_receiver import PEERS
from tests.audit.conftest import Line
from tests.gateway.receiver import Receiver, receiving


def repr_short(line: bytes) -> str:
    return repr(line[:40])


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    with receiving(tmp_path / "audit") as running:
        yield running


def test_who_does_not_read_its_answers_is_not_heard_and_misses_none(receiver: Receiver) -> None:
    count, pings = 40_000, b'{"op":"ping"}\n'
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(receiver.socket))
        line.setblocking(False)
        said = 0
        with contextlib.suppress(BlockingIOError):
            while said < count * len(pings):
                said += line.send((pings * count)[said : said + 65536])
        assert said < count * len(pings), "all of it was taken"
        assert Line(receiver).ask("ping") == {"ok": 0}  # somebody else is answered meanwhile
        line.settimeout(20)
        rest = threading.Thread(target=line.sendall, args=((pings * count)[said:],))
        rest.start()
        with line.makefile("rb") as answers:
            assert [answers.readline() for _ in range(count)] == [b'{"ok": 0}\n'] * count
        rest.join()


@contextlib.contextmanager
def as_nobody(receiver: Receiver) -> Iterator[None]:
    """What connects meanwhile is another user's, as the gateway is."""
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    before = Path.cwd()
    os.chdir(receiver.socket.parent)  # nobody may enter the folders above
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        os.chdir(before)


def stranger(receiver: Receiver) -> Line:
    with as_nobody(receiver):
        return Line(receiver, receiver.socket.name)


def test_many_connections_leave_the_first_ones_and_roots_alone(receiver: Receiver) -> None:
    lines = [stranger(receiver) for _ in range(PEERS)]
    assert [line.ask("ping") for line in lines] == [{"ok": 0}] * PEERS
    with pytest.raises((ConnectionError, json.JSONDecodeError)):
        stranger(receiver).ask("ping")
    assert Line(receiver).request("a")["id"] == "a"
    lines.pop().close()
    assert stranger(receiver).request("b")["id"] == "b"
    assert [line.ask("ping") for line in lines] == [{"ok": 0}] * len(lines)


def test_only_root_notes_what_else_has_happened(receiver: Receiver) -> None:
    note = {"event": "key_created", "record": {"id": "a", "subject": "alice"}}
    assert stranger(receiver).ask("note", **note) == {"error": "not understood: ValueError"}
    assert receiver.records("key_created") == []
    assert Line(receiver).ask("note", **note)["id"] == "a"
    assert len(receiver.records("key_created")) == 1


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 200_000, b'{"op":' * 100_000, b'"op"', b"5", b"null", b'{"op":"totals","since":["2020-01-01T00:00:00.000Z"],"keys":[1]}',
        b'{"op":"totals","since":5}', b'{"op":"totals","since":[{}],"keys":{}}', b'{"op":"totals","since":[],"keys":5}', b'{"op":[]}',
        b'{"op":"open","record":{"id":"a","groups":[[]]}}', b'{"op":"note","event":[],"record":[]}', b'{"op":"close","record":"a"}',
        b'{"op":"open","record":{"id":"a","ms":1e999}}', b'{"op":"open","record":{"id":"a","ms":NaN}}', b"\x00", b'{"op":"\xff"}',
    ],
    ids=repr_short,
)  # fmt: skip
def test_nothing_that_is_said_ends_it(receiver: Receiver, line: bytes) -> None:
    assert "error" in Line(receiver).send(line)
    assert Line(receiver).request("after")["id"] == "after"
    assert receiver.process
    assert receiver.process.poll() is None


def test_a_line_without_an_end_ends_the_connection(receiver: Receiver) -> None:
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(receiver.socket))
        line.settimeout(20)
        with pytest.raises(ConnectionError):
            line.sendall(b"x" * 65536 * 100)
    assert Line(receiver).ask("ping") == {"ok": 0}
