"""PCs and an operator for tests of BitLocker's steps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from citadelle.escrow.store import Escrow
from citadelle.operations import bitlocker_steps
from tests.bitlocker.pc import PC, PIN, Operator, read_private
from tests.escrow.conftest import operator as pair  # noqa: F401  (a fixture)
from tests.escrow.conftest import pair_folder  # noqa: F401  (a fixture)
from tests.lab.powershell import Engine
from tests.windows_double.conftest import Double, engine  # noqa: F401  (a fixture)


@pytest.fixture(scope="module")
def _pc(tmp_path_factory: pytest.TempPathFactory, engine: Engine) -> Iterator[PC]:  # noqa: F811
    double = Double(tmp_path_factory.mktemp("pc") / "pc", str(engine.folder), engine.personality != "powershell.exe")
    assert double.control("setup").returncode == 0
    made = PC(double)
    made.first = {name: (double.home / name).read_bytes() for name in ("state.json", "registry.json")}  # type: ignore[attr-defined]
    yield made
    made.close()


@pytest.fixture
def pc(_pc: PC, monkeypatch: pytest.MonkeyPatch) -> PC:
    """A PC as on its first day, its PowerShell open; no step waits."""
    monkeypatch.setattr(bitlocker_steps, "PAUSE", 0)
    monkeypatch.setattr(bitlocker_steps, "read_private", read_private)
    for name, content in _pc.first.items():  # type: ignore[attr-defined]
        (_pc.double.home / name).write_bytes(content)
    _pc.double.control("language", "en")
    _pc.said.clear()
    _pc.calls = 0
    return _pc


@pytest.fixture
def operator(pair: object, pair_folder: Path, tmp_path: Path) -> Operator:  # noqa: F811
    """An operator with an empty escrow."""
    return Operator(Escrow(tmp_path / "keys", tmp_path / "keys.copy"), pair_folder)


@pytest.fixture
def pinned(operator: Operator, tmp_path: Path) -> Operator:
    """An operator who wants a PIN at each start."""
    (tmp_path / "pin").write_text(PIN + "\n")
    operator.choice, operator.given = {"unlock": "tpm_pin", "pin_length": len(PIN)}, {"pin": tmp_path / "pin"}
    return operator
