"""What the verifier takes from its note of sealed files; the seals themselves are tested on a kernel that has them (`sealed/`)."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from citadelle.models import verify

BOOT = verify._boot()
SEALS = {"sha256:" + "a" * 64: "b" * 64}
GOOD = json.dumps({"boot": BOOT, "seals": SEALS})
BAD = {
    "another boot": GOOD.replace(BOOT, BOOT[::-1]),
    "a key twice": GOOD.replace('{"boot"', '{"Boot": "x", "boot"'),
    "one key more": GOOD.replace('{"boot"', '{"more": "x", "boot"'),
    "no seals": json.dumps({"boot": BOOT, "seals": "all"}),
    "no JSON": GOOD[:-1],
    "nothing": "",
    "too large": GOOD[:-1] + " " * verify.SMALL + "}",
}


def read(path: Path, text: str, mode: int = 0o644, owner: int | None = None) -> dict[str, str]:
    path.write_text(text)
    path.chmod(mode)
    return verify.read_seals(str(path), {os.geteuid() if owner is None else owner})


def test_this_boots_own_note_is_read(tmp_path: Path) -> None:
    assert read(tmp_path / "note", GOOD) == SEALS


@pytest.mark.parametrize("case", BAD)
def test_another_is_as_none(tmp_path: Path, case: str) -> None:
    assert read(tmp_path / "note", BAD[case]) == {}


def test_one_that_others_could_have_written_is_as_none(tmp_path: Path) -> None:
    assert read(tmp_path / "note", GOOD, mode=0o664) == {}
    assert read(tmp_path / "note", GOOD, owner=os.geteuid() + 1) == {}
    (tmp_path / "link").symlink_to("note")
    assert verify.read_seals(str(tmp_path / "link"), {os.geteuid()}) == {}
    assert verify.read_seals(str(tmp_path / "absent"), {os.geteuid()}) == {}
    os.mkfifo(tmp_path / "pipe")
    assert verify.read_seals(str(tmp_path / "pipe"), {os.geteuid()}) == {}
    assert verify.read_seals(str(tmp_path), {os.geteuid()}) == {}


def test_file_systems_whose_answers_are_believed(tmp_path: Path) -> None:
    """A FUSE server could answer anything, so the kind of file system is asked first; /proc has no such call either."""
    with open("/proc/version", "rb") as file:
        assert verify.file_system(file.fileno()) == "proc"
        with pytest.raises(OSError, match="\\[Errno 95\\]"):
            verify.measured(file.fileno())
        with pytest.raises(OSError, match="\\[Errno 95\\]"):
            verify.seal(file.fileno())
