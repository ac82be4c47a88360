"""`citadelle audit verify`: on a host over a real SSH connection, and on a copy here with its key."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from citadelle import audit
from tests.audit.conftest import Line
from tests.cli.conftest import Command
from tests.conftest import ROOT
from tests.gateway.receiver import Receiver, receiving


@pytest.fixture
def trail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Receiver:
    """A log of four records, which is the host's."""
    with receiving(tmp_path / "audit") as receiver:
        line = Line(receiver)
        for number in range(3):
            line.request(f"a{number}", key="alice")
        line.close()
    words = [str(ROOT / "citadelle/audit.py"), str(receiver.log), "--key", str(receiver.key)]
    monkeypatch.setattr(audit, "PROGRAM", shlex.join(words))
    return receiver


def damage(trail: Receiver) -> str:
    [path] = audit.files_of(trail.log)
    path.write_bytes(path.read_bytes().replace(b'"a1"', b'"a9"'))
    return f"{path.name} line 3 (record 3): changed: its hash does not fit"


def test_a_host(command: Command, trail: Receiver, inventory: str) -> None:
    said = command("audit", "verify", "--inventory", inventory)
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("pc: 4 records intact: 1 of ")
    wrong = damage(trail)
    said = command("audit", "verify", "--inventory", inventory)
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith(f"pc: {wrong}\nhint: keep a copy of the log as it is")
    [row] = json.loads(command("audit", "verify", "--inventory", inventory, "--json").out)
    assert (row["host"], row["ok"], row["found"]) == ("pc", False, wrong)


def test_an_anchor_reaches_the_host(command: Command, trail: Receiver, inventory: str) -> None:
    said = command("audit", "verify", "--inventory", inventory, "--anchor", f"2:{'0' * 64}")
    assert (said.code, said.err.partition("\n")[0]) == (1, "pc: record 2: not the one that the anchor names")
    assert command("audit", "verify", "--inventory", inventory, "--since", "3").out.startswith(
        "pc: 2 records intact: 3 of "
    )


def test_a_copy(command: Command, trail: Receiver) -> None:
    words = ("audit", "verify", str(trail.log), "--key", str(trail.key))
    assert command(*words).out.startswith(f"{trail.log}: 4 records intact")
    [file] = audit.files_of(trail.log)
    assert command("audit", "verify", str(file), "--key", str(trail.key)).code == 0
    wrong = damage(trail)
    said = command(*words)
    assert (said.code, said.err.partition("\n")[0]) == (1, f"{trail.log}: {wrong}")


def test_wrong_use(command: Command, trail: Receiver) -> None:
    said = command("audit", "verify", str(trail.log))
    assert (said.code, said.err.partition(":")[0]) == (2, "a copy is judged with the key of its host")
    assert command("audit", "verify", "--anchor", "2:x").code == 2


def test_a_host_without_a_log(
    command: Command, trail: Receiver, inventory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "PROGRAM", "/nonexistent/audit.py")
    said = command("audit", "verify", "--inventory", inventory)
    assert said.code == 1
    assert "/nonexistent/audit.py" in said.err
