"""Wrong use of the command: exit code 2, what is wrong, and the cure; no host is asked."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from citadelle.cli import run
from tests.conftest import ROOT

COMMANDS = [["ask", "Bonjour ?"], ["status"], ["doctor"]]


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> object:
    def call(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["citadelle", *arguments])
        with pytest.raises(SystemExit) as caught:
            run()
        assert caught.value.code == 2
        said = capsys.readouterr()
        assert said.out == ""
        return said.err

    return call


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: words[0])
def test_an_absent_inventory(refused, command: list[str], tmp_path: Path) -> None:
    said = refused(*command, "--inventory", str(tmp_path / "none"))
    assert said == f"inventory is absent: {tmp_path}/none\nhint: run in the checkout, or give --inventory\n"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: words[0])
def test_a_host_that_is_not_there(refused, command: list[str]) -> None:
    inventory = ROOT / "inventory/example.py"
    said = refused(*command, "--inventory", str(inventory), "--host", "nancy-*")
    assert said.startswith(f"no serving host in {inventory} matches: nancy-*\nhint: ")


def test_no_lab(refused, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CITADELLE_LAB", str(tmp_path))
    said = refused("status", "--inventory", str(ROOT / "inventory/lab.py"))
    assert said.startswith(f"inventory: no lab on this machine: {tmp_path}/lab.json\nhint: run bin/lab, or cp ")


def test_an_unknown_word(refused) -> None:
    assert "No such command 'aks'" in refused("aks")
