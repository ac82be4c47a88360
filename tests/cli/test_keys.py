"""`citadelle keys` over a real SSH connection: what is shown, what is stored, and where a new key must never be."""

from __future__ import annotations

import json
import logging
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from gateway.keys import KeyRing

from citadelle.cli import keys
from citadelle.connectors import ssh
from tests.cli.conftest import Command, Said
from tests.conftest import ROOT
from tests.sshd import Sshd

# Runs the genuine program, then notes the command line and the environment of itself and of every process above it.
SPY = """
import os, runpy, sys
sys.argv = [{program!r}, "--folder", {folder!r}, *sys.argv[1:]]
try:
    runpy.run_path({program!r}, run_name="__main__")
finally:
    pid = os.getpid()
    with open({seen!r}, "ab") as seen:
        while pid > 1:
            for name in ("cmdline", "environ"):
                seen.write(open(f"/proc/{{pid}}/{{name}}", "rb").read() + b"\\n")
            pid = int(open(f"/proc/{{pid}}/stat").read().rpartition(")")[2].split()[1])
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The host's folder of the keys; its program is spied upon."""
    made = tmp_path / "citadelle"
    spy = tmp_path / "spy.py"
    spy.write_text(SPY.format(program=str(ROOT / "citadelle/keys.py"), folder=str(made), seen=str(tmp_path / "seen")))
    monkeypatch.setattr(keys, "PROGRAM", str(spy))
    return made


@pytest.fixture
def call(command: Command, folder: Path, inventory: str) -> Command:
    """`citadelle keys WORDS` for the host `pc`; each call ends its connection, as the end of its process would."""

    def one(*words: str) -> Said:
        said = command("keys", *words, "--inventory", inventory)
        for connection in ssh._connections.values():
            connection.close()
        return said

    return one


def test_a_new_key_is_shown_once_and_is_nowhere_else(
    call: Command, folder: Path, tmp_path: Path, sshd: Sshd, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    said = call("create", "alice", "--model", "a:1b", "--limit", "requests_day=5", "--expires", "2999-12-31")
    shown = re.fullmatch(r"pc: alice: (ck_[A-Za-z0-9_-]{43})\n", said.out)
    assert shown
    assert (said.code, said.err) == (0, "")
    assert KeyRing(folder / "gateway/keys.json").find({b"x-api-key": shown[1].encode()}).id == "alice"
    seen = (tmp_path / "seen").read_bytes()
    assert (b"spy.py" in seen, b"alice" in seen, b"sshd" in seen) == (True, True, True)
    assert shown[1] not in caplog.text
    for place in (tmp_path, sshd.folder):
        for file in (path for path in place.rglob("*") if path.is_file()):
            assert shown[1].encode() not in file.read_bytes(), file
    assert shown[1] not in str(os.environ)
    assert shown[1] not in call("list", "--json").out + call("list").out


def test_list_and_revoke(call: Command) -> None:
    key = json.loads(call("create", "bob", "--route", "chat", "--group", "hr", "--json").out)[0]["key"]
    [host] = json.loads(call("list", "--json").out)
    [entry] = host["keys"]
    age = datetime.fromisoformat(entry["expires"]) - datetime.now(UTC)
    assert timedelta(days=89) < age < timedelta(days=91)
    assert (host["host"], entry["id"], entry["routes"], entry["groups"]) == ("pc", "bob", ["chat"], ["hr"])
    table = call("list")
    assert re.search(r"bob +│ in force +│", table.out)
    assert call("revoke", "bob").out == "pc: bob: revoked\n"
    assert re.search(r"bob +│ revoked 2\d{3}-", call("list").out)
    assert key not in table.out


def test_a_key_without_end(call: Command) -> None:
    call("create", "robot", "--expires", "never")
    [host] = json.loads(call("list", "--json").out)
    assert "expires" not in host["keys"][0]


def test_what_a_host_refuses_is_said_with_its_cure(call: Command) -> None:
    call("create", "carol")
    said = call("create", "carol")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("pc: key id is taken: carol\nhint: ids are never used twice")
    assert call("revoke", "nobody").err == "pc: no such key: nobody\nhint: citadelle keys list\n"


def test_a_host_without_the_program(call: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "PROGRAM", "/nonexistent/keys.py")
    said = call("list")
    assert said.code == 1
    assert said.err.startswith("pc: ")
    assert "/nonexistent/keys.py" in said.err
    assert said.err.endswith("\nhint: citadelle doctor --host pc\n")


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("--expires", "soon"), "not a time: soon"),
        (("--expires", "2026-02-30"), "not a time: 2026-02-30"),
        (("--limit", "requests_day"), "not a limit: requests_day"),
        (("--limit", "more=1", "--limit", "concurrency=0"), "not a limit: more=1, concurrency=0"),
    ],
)
def test_wrong_use_reaches_no_host(call: Command, tmp_path: Path, words: tuple[str, ...], what: str) -> None:
    said = call("create", "dave", *words)
    assert said.code == 2
    assert said.err.startswith(f"{what}\nhint: ")
    assert not (tmp_path / "seen").exists()
