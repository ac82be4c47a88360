"""The commands of facts run by a real shell on real files: what the cases cannot show."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest
from pyinfra.api import StringCommand

from citadelle.facts.base import Fact
from citadelle.facts.files import FileState, FileStates
from citadelle.facts.stack import ReleaseThere
from citadelle.release import Release


def read(fact: Fact, **arguments: object) -> object:
    command = StringCommand(fact.command(**arguments)).get_raw_value()
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, timeout=30)
    lines = done.stdout.splitlines()
    return fact.process(lines) if lines else fact.default()


def test_files_with_awkward_names_are_seen_and_links_are_not(tmp_path: Path) -> None:
    awkward = tmp_path / "it's $(touch x); -n é"
    awkward.write_bytes(b"content")
    awkward.chmod(0o640)
    (tmp_path / "link").symlink_to(awkward)
    (tmp_path / "folder").mkdir()
    paths = [str(tmp_path / name) for name in ("link", "folder", "absent", awkward.name)]
    owner = f"{awkward.owner()}:{awkward.group()}"
    digest = hashlib.sha256(b"content").hexdigest()
    assert read(FileStates(), paths=paths) == {str(awkward): FileState("640", owner, digest)}


@pytest.mark.parametrize(
    ("damage", "intact"),
    [
        (lambda folder: None, True),
        (lambda folder: (folder / "stack.env").write_text("A=2\n"), False),
        (lambda folder: (folder / "stack.env").unlink(), False),
        (lambda folder: (folder / "MANIFEST.sha256").unlink(), False),
    ],
    ids=["whole", "changed", "file missing", "manifest missing"],
)
def test_a_release_is_there_when_every_file_is(tmp_path: Path, damage, intact: bool) -> None:
    folder = tmp_path / "it's a release"
    folder.mkdir()
    (tmp_path / "release.tar").write_bytes(Release("x", {"stack.env": b"A=1\n", "compose/a": b""}).archive())
    subprocess.run(["tar", "-xf", tmp_path / "release.tar", "-C", folder], check=True)
    damage(folder)
    assert read(ReleaseThere(), folder=str(folder)) is intact
    assert read(ReleaseThere(), folder=str(tmp_path / "absent")) is False
