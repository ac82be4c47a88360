"""The receiver: what it takes, what it refuses, and what a disk, a kill or a hand in its log leave behind."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from gateway.exchange import Exchange

from citadelle import audit, audit_log
from tests.audit.conftest import Line
from tests.conftest import ROOT
from tests.gateway.receiver import Receiver, receiving


@pytest.fixture
def receiver(tmp_path: Path) -> Any:
    with receiving(tmp_path / "audit") as running:
        yield running


def test_only_known_fields_with_short_values(receiver: Receiver) -> None:
    line = Line(receiver)
    wrong: list[Any] = [
        {"id": "a", "prompt_text": "x"}, {"id": "a", "code": "a question?"}, {"id": "a", "code": "x" * 129}, {"id": "a", "code": "été"},
        {"id": "a", "groups": ["ok", "not\nok"]}, {"id": "a", "ms": -1}, {"id": "a", "ms": 1.5}, {"id": "a", "key": {"a": 1}},
        {"status": 200}, {"id": 5}, [], None, "a", {"id": "a", "seq": 1}, {"id": "a", "event": "start"}, {"id": "a", "ts": "x"},
    ]  # fmt: skip
    for record in wrong:
        for op in ("open", "close"):
            assert line.ask(op, record=record) == {"error": line.ask(op, record=record)["error"]}
    for text in (b"", b"{", b"[]", b'{"op":"drop"}', b'{"op":"totals"}', b'{"op":"totals","since":[]}', b"\xff"):
        assert "error" in line.send(text), text
    assert receiver.records() == []
    assert line.ask("ping") == {"ok": 0}


def test_the_fields_are_those_of_the_gateway() -> None:
    exchange = Exchange({}, None, None, None, {})  # type: ignore[arg-type]
    assert exchange.record().keys() | {"policy", "prompt", "unrecorded"} == audit.FIELDS
    assert audit.checked(exchange.record())


def test_a_record_sent_twice_is_written_once(receiver: Receiver) -> None:
    line = Line(receiver)
    first = line.request("a")
    assert line.request("a") == first
    receiver.stop(signal.SIGKILL)
    receiver.start()
    assert Line(receiver).request("a") == first
    assert len(receiver.records()) == 1


def test_kills_at_any_moment_leave_a_log_that_holds(receiver: Receiver) -> None:
    """Whatever was answered is there; killed at once, so nothing is said in order."""
    sure = []
    for turn in range(4):
        line = Line(receiver)
        sure += [line.request(f"{turn}-{number}")["seq"] for number in range(20 + turn)]
        receiver.stop(signal.SIGKILL)
        receiver.start()
    receiver.stop()
    seqs = [record["seq"] for record in receiver.records()]
    assert set(sure) <= set(seqs)
    assert receiver.verify().returncode == 0


def test_a_record_cut_by_a_power_failure_is_left_to_be_judged(receiver: Receiver) -> None:
    Line(receiver).request("a")
    receiver.stop()
    [path] = receiver.log.glob("audit-*.jsonl")
    path.write_bytes(path.read_bytes() + b'{"seq":3,"ts":"2026')
    receiver.start()
    Line(receiver).request("b")
    receiver.stop()
    assert receiver.verify().stderr.strip() == f"{path.name} line 3 (record 3): cut off within the record"
    assert receiver.verify("--since", "3").returncode == 0


def test_records_that_vanish_while_it_is_down_are_told_by_the_log_itself(receiver: Receiver) -> None:
    line = Line(receiver)
    for number in range(5):
        line.request(f"a{number}")
    receiver.stop()
    [path] = receiver.log.glob("audit-*.jsonl")
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:3]))
    receiver.start()
    receiver.stop()
    assert receiver.verify().stderr.strip() == "record 4: 3 records before it are missing since a restart"
    assert receiver.verify("--since", "4").returncode == 0


def test_a_changed_record_is_not_repaired(receiver: Receiver) -> None:
    line = Line(receiver)
    for number in range(5):
        line.request(f"a{number}")
    receiver.stop()
    [path] = receiver.log.glob("audit-*.jsonl")
    damaged = path.read_bytes().replace(b'"a2"', b'"zz"')
    path.write_bytes(damaged)
    receiver.start()
    receiver.stop()
    assert path.read_bytes().startswith(damaged)
    assert "line 4 (record 4): changed" in receiver.verify().stderr


def test_a_log_of_another_key_is_not_continued(receiver: Receiver) -> None:
    receiver.stop()
    receiver.key.write_text("ab" * 32)
    command = [sys.executable, "-I", "-B", str(ROOT / "citadelle/audit_receiver.py"), "--socket", str(receiver.socket)]
    done = subprocess.run(
        [*command, "--log", str(receiver.log), "--key", str(receiver.key)], capture_output=True, text=True, check=False, timeout=30
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith(f"audit: cannot start: no record in {receiver.log} has the key: ")
    receiver.key.unlink()
    done = subprocess.run(
        [*command, "--log", str(receiver.log), "--key", str(receiver.key)], capture_output=True, check=False, timeout=30
    )
    assert done.returncode == 1


def test_a_disk_that_takes_no_more_is_said_and_leaves_no_half_record(tmp_path: Path) -> None:
    """The kernel refuses the bytes: the process may write files of 1,500 bytes only."""
    limited = Receiver.at(tmp_path / "audit")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1500, before[1]))
    try:
        limited.start()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    line = Line(limited)
    answers = [line.request(f"a{number}") for number in range(20)]
    limited.stop()
    done = [answer for answer in answers if "seq" in answer]
    assert 0 < len(done) < 20
    assert "error" in answers[-1]
    assert [record["id"] for record in limited.records()] == [answer["id"] for answer in done]
    assert limited.verify().returncode == 0


def test_the_rest_of_a_disk_is_for_what_has_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = audit_log.Log(tmp_path, tmp_path / "key")
    log.check()
    monkeypatch.setattr(audit_log, "SPARE_BYTES", 1 << 60)
    with pytest.raises(OSError, match="MB free"):
        log.check()
    assert log.append({"event": "request", "id": "under way"})["seq"] == 2


def test_totals_are_per_key_and_span(receiver: Receiver) -> None:
    line = Line(receiver)
    for number in range(3):
        line.request(f"a{number}", key="alice", counted=1, prompt_tokens=10, completion_tokens=number)
    line.request("b", key="bob", counted=1, prompt_tokens=5, completion_tokens=None)
    line.request("c", key="bob", counted=0, prompt_tokens=0, completion_tokens=0)
    line.request("d", key=None, counted=0)
    ever = ["2020-01-01T00:00:00.000Z", "2999-01-01T00:00:00.000Z"]
    sums = line.ask("totals", since=ever, keys=["alice", "bob", "carol"])["totals"]
    assert sums == {"alice": [[3, 30, 3], [0, 0, 0]], "bob": [[1, 5, 0], [0, 0, 0]]}
    assert line.ask("totals", since=ever)["totals"].keys() == {receiver.name_of("alice"), receiver.name_of("bob")}
    assert line.ask("totals", since=["2999-01-01T00:00:00.000Z"])["totals"] == {}


def test_a_file_ends_with_its_day_or_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_log, "FILE_BYTES", 600)
    written = audit_log.Log(tmp_path, tmp_path / "key")
    for number in range(8):
        written.append({"id": f"a{number}", "event": "request"})
    written._day = "2020-01-01"
    written.append({"id": "next", "event": "request"})
    written.sync()
    names = [path.name for path in audit.files_of(tmp_path)]
    assert len(names) > 3
    assert names[-1] == f"audit-{written.seq:012}.jsonl"
    assert audit.verify(tmp_path, audit.read_key(tmp_path / "key")).startswith("10 records intact")


def test_only_its_owner_reads_what_it_writes(receiver: Receiver) -> None:
    Line(receiver).request("a")
    deadline = time.monotonic() + 20
    while not (receiver.log / "head.json").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    for path in (receiver.key, *receiver.log.iterdir()):
        assert path.stat().st_mode & 0o077 == 0, path


def test_the_socket_of_systemd_is_taken(tmp_path: Path) -> None:
    """Handed over as systemd does: descriptor 3, listening."""
    handed = Receiver.at(tmp_path / "audit")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(handed.socket))
        listening.listen()
        os.set_inheritable(listening.fileno(), True)
        program = f"import os, sys; os.dup2({listening.fileno()}, 3, True); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
        arguments = [
            "-I",
            "-B",
            str(ROOT / "citadelle/audit_receiver.py"),
            "--log",
            str(handed.log),
            "--key",
            str(handed.key),
        ]
        handed.process = subprocess.Popen([sys.executable, "-c", program, *arguments], pass_fds=[listening.fileno()])
        assert Line(handed).request("a")["seq"] == 2
    handed.stop()
    assert json.loads((handed.log / "head.json").read_text())["seq"] == 2
