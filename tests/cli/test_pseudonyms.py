"""`citadelle audit resolve` and `rotate`, on a host over a real SSH connection."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from citadelle import pseudonyms
from tests.cli.conftest import Command
from tests.conftest import ROOT


def test_a_pseudonym_is_resolved_and_changes(
    command: Command, inventory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, keys = tmp_path / "pseudonyms.json", tmp_path / "keys.json"
    keys.write_text(json.dumps({"keys": [{"id": "alice"}, {"id": "bob"}]}))
    words = [str(ROOT / "citadelle/pseudonyms.py"), "--file", str(file), "--keys", str(keys)]
    monkeypatch.setattr(pseudonyms, "PROGRAM", shlex.join(words))
    first = pseudonyms.opened(file).of("alice")
    assert command("audit", "rotate", "--inventory", inventory).out == "pc: new pseudonyms from now on\n"
    second = pseudonyms.opened(file).of("alice")
    said = command("audit", "resolve", first, "--inventory", inventory)
    assert said.out.startswith(f"pc: {first} is alice; names of that kind since 20")
    rows = json.loads(command("audit", "resolve", "alice", "--inventory", inventory, "--json").out)
    assert [(row["host"], row["name"], row["id"]) for row in rows] == [("pc", first, "alice"), ("pc", second, "alice")]
    strange = command("audit", "resolve", f"p9:{'0' * 20}", "--inventory", inventory)
    assert (strange.code, strange.out) == (1, "")
    assert strange.err.startswith(f"no pseudonym or key of these hosts: p9:{'0' * 20}\nhint: its secret was destroyed")
    assert command("audit", "resolve", "alise", "--inventory", inventory).err.startswith("no pseudonym or key of these")
