"""W003: whether the recovery key of each encrypted volume of a PC lies in the controller's escrow."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from citadelle.cli import windows as checks
from citadelle.cli.check import Check
from citadelle.escrow.store import Escrow
from citadelle.hardening.state import State
from tests.escrow.keys import ID, OTHER, entry
from tests.escrow.states import EXTERNAL, RECOVERY, TPM, pc, volume


@dataclass(frozen=True)
class Side:
    """What the check asks of a Windows side: its names and its inventory's data. Stands in for the connection, which it never uses."""

    given: dict[str, Any]
    pc: str = "pc1"
    name: str = "@windows/pc1"

    @property
    def connector(self) -> Any:
        return self

    host = data = connector

    def dict(self) -> dict[str, Any]:
        """As pyinfra gives it."""
        return self.given


@pytest.fixture
def folders(tmp_path: Path) -> Escrow:
    return Escrow(tmp_path / "keys", tmp_path / "keys.copy")


def judged(state: State, folders: Escrow, **given: Any) -> Check:
    """The check on a PC of an inventory that names the folders."""
    named = {"bitlocker_escrow": str(folders.folder), "bitlocker_escrow_copy": str(folders.copy)}
    return Check("W003", "pc1", *checks._escrow(Side(named | given), state))  # type: ignore[arg-type]


SYSTEM, CLEAR = volume(1, 1, TPM, RECOVERY), volume(0, 0)
DATA = volume(1, 1, EXTERNAL, RECOVERY, mount="D:", auto=True)
DATA["KeyProtector"][1]["KeyProtectorId"] = OTHER


def test_keys_that_are_kept_twice_are_right(folders: Escrow) -> None:
    folders.keep(entry(ID))
    folders.keep(entry(OTHER, volume="D:"))
    found = judged(pc(SYSTEM, DATA), folders)
    assert (found.ok, found.found) == (True, "recovery keys in escrow, twice: C:, D:")


def test_each_key_that_is_missing_is_named_with_the_next_step(folders: Escrow) -> None:
    """One key of one volume is not enough, nor that of another PC, nor a second key that nobody keeps."""
    folders.keep(entry(ID))
    folders.keep(entry(OTHER, volume="D:", host="pc2"))
    found = judged(pc(SYSTEM, DATA), folders)
    assert (found.ok, found.found) == (False, f"recovery key of D: is not in escrow: {OTHER}")
    assert found.next_step == "pyinfra inventory deploy.py: keeps them; docs/bitlocker.md"
    second = SYSTEM | {"KeyProtector": [*SYSTEM["KeyProtector"], {"KeyProtectorType": 3, "KeyProtectorId": OTHER}]}
    assert judged(pc(second), folders).found == f"recovery key of C: is not in escrow: {OTHER}"


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        ({"volume": "D:"}, f"recovery key of C: is kept as one of D:: {ID}"),
        ({"lost": True}, f"recovery key of C: is not in escrow twice: {ID}"),
        ({"harmed": True}, f"recovery key of C: is not in escrow twice: {ID}"),
    ],
)
def test_a_key_that_is_not_kept_right_is_told(kept: dict[str, Any], words: str, folders: Escrow) -> None:
    folders.keep(replace(entry(ID), volume=kept.get("volume", "C:")))
    [copy] = folders.copy.rglob("*.json")
    if "lost" in kept:
        copy.unlink()
    if "harmed" in kept:
        copy.write_text(copy.read_text().replace("pc1", "pc2"))
    found = judged(pc(SYSTEM), folders)
    assert (found.ok, found.found) == (False, words)


@pytest.mark.parametrize(
    ("raw", "ok", "words"),
    [
        (CLEAR, True, "no volume is encrypted: no recovery key is needed"),
        (volume(1, 1, TPM), False, "C: has no recovery key"),
        (volume(2, 0, TPM, RECOVERY), False, f"recovery key of C: is not in escrow: {ID}"),
        (volume(None, 2, RECOVERY, mount="D:"), False, f"recovery key of D: is not in escrow: {ID}"),
        (volume(1, 1, RECOVERY, mount="E:"), True, "no volume is encrypted: no recovery key is needed"),  # a stick
    ],
)
def test_what_counts_as_encrypted(raw: dict[str, Any], ok: bool, words: str, folders: Escrow) -> None:
    found = judged(pc(raw), folders)
    assert (found.ok, found.found) == (ok, words)


def test_what_cannot_be_judged_is_a_finding(folders: Escrow) -> None:
    found = judged(pc(SYSTEM), folders, bitlocker_escrow_copy=None)
    assert (found.ok, found.next_step) == (False, "docs/bitlocker.md")
    assert found.found == "no escrow is named by the inventory: bitlocker_escrow, bitlocker_escrow_copy"
    broken = State.parse({"format": 1, "sections": {}, "errors": {"bitlocker": {"id": "X", "result": "0x80041003"}}})
    assert judged(broken, folders).found == "what BitLocker says is unknown: X (0x80041003)"
