"""Wrong use of the command: exit code 2, what is wrong, and the cure; no host is asked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.conftest import ROOT

COMMANDS = [["ask", "Bonjour ?"], ["status"], ["doctor"], ["keys", "list"]]


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_an_absent_inventory(command: Command, words: list[str], tmp_path: Path) -> None:
    said = command(*words, "--inventory", str(tmp_path / "none"))
    assert (said.code, said.out) == (2, "")
    assert said.err == f"inventory is absent: {tmp_path}/none\nhint: run in the checkout, or give --inventory\n"


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_a_host_that_is_not_there(command: Command, words: list[str]) -> None:
    inventory = ROOT / "inventory/example.py"
    said = command(*words, "--inventory", str(inventory), "--host", "nancy-*")
    assert (said.code, said.out) == (2, "")
    meant = "host" if words[0] in ("status", "doctor") else "serving host"
    assert said.err.startswith(f"no {meant} in {inventory} matches: nancy-*\nhint: ")


def test_no_lab(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CITADELLE_LAB", str(tmp_path))
    said = command("status", "--inventory", str(ROOT / "inventory/lab.py"))
    assert said.code == 2
    assert said.err.startswith(f"inventory: no lab on this machine: {tmp_path}/lab.json\nhint: run bin/lab, or cp ")


def test_an_unknown_word(command: Command) -> None:
    said = command("aks")
    assert said.code == 2
    assert "No such command 'aks'" in said.err


@pytest.mark.lab
def test_the_command_warns_of_nothing() -> None:
    """pyinfra patches modules when it is imported, and says so on every run where one of them was imported before."""
    command = [
        sys.executable,
        "-m",
        "citadelle.cli",
        "status",
        "--inventory",
        "inventory/example.py",
        "--host",
        "nobody",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Warning" not in done.stderr, done.stderr


@pytest.mark.lab
@pytest.mark.parametrize(("word", "patched"), [("models", False), ("status", True)])
def test_files_are_hashed_on_all_cores(word: str, patched: bool) -> None:
    """Threads as pyinfra patches them share one core."""
    asked = "from gevent import monkey; print(monkey.is_module_patched('threading'))"
    script = f"import sys; sys.argv[1:] = ['{word}']; import citadelle.cli; {asked}"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == f"{patched}\n"
