"""Which inventory the lab rolls out to: never a user's own PCs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab import converge, state


@pytest.mark.parametrize(
    ("files", "used"),
    [(["lab.py", "example.py"], "inventory"), (["lab.py", "example.py", "paris.py"], "inventory/lab.py")],
)
def test_the_lab_rolls_out_to_lab_pcs_only(
    files: list[str], used: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "inventory").mkdir()
    for name in files:
        (tmp_path / "inventory" / name).touch()
    monkeypatch.setattr(state, "ROOT", tmp_path)
    assert converge.inventory() == used
