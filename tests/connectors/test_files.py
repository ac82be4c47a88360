"""Files to and from PCs: whole or not at all, judged by the PC's own digest, with its own words when something is wrong."""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from pyinfra.api.host import Host

from tests.connectors.conftest import DOUBLE, Hosts, WindowsPC, the
from tests.sshd import Sshd

DAMAGE = Path(__file__).parent / "damage"
UNLIKE = ("@linux", "@windows")  # @wsl does as @linux once its shell and its SFTP server are started


@dataclass
class Side:
    """A host, a folder on it as the host writes it, and the same folder as this machine sees it."""

    host: Host
    remote: str
    local: Path


@pytest.fixture
def side(request: pytest.FixtureRequest, hosts: Hosts, tmp_path: Path) -> Side:
    """A host of the kind that the test asks for, with an empty folder."""
    if request.param == "@windows":
        host, pc = request.getfixturevalue("windows_host"), request.getfixturevalue("windows_pc")
        folder = pc.path("C:") / tmp_path.name
        folder.mkdir()
        return Side(host, f"C:\\{tmp_path.name}\\", folder)
    pc = request.getfixturevalue("linux_pc" if request.param == "@linux" else "windows_pc")
    (tmp_path / "remote").mkdir()
    host = the(hosts({f"{request.param}/pc": pc.data}), f"{request.param}/pc")
    return Side(host, f"{tmp_path}/remote/", tmp_path / "remote")


def digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


@pytest.mark.parametrize(
    ("side", "megabytes"),
    [
        *(pytest.param(side, 100, marks=pytest.mark.lab) for side in ("@linux", "@windows", "@wsl")),
        *((side, 10) for side in ("@linux", "@windows")),
    ],
    indirect=["side"],
)
def test_large_files_both_ways(side: Side, megabytes: int, tmp_path: Path) -> None:
    big = tmp_path / "model.gguf"
    big.write_bytes(os.urandom(1 << 20) * megabytes)
    assert side.host.put_file(str(big), side.remote + "model.gguf")
    assert digest(side.local / "model.gguf") == digest(big)
    assert side.host.get_file(side.remote + "model.gguf", str(tmp_path / "back"))
    assert digest(tmp_path / "back") == digest(big)
    for file in (big, side.local / "model.gguf", tmp_path / "back"):
        file.unlink()


CONTENTS = {"empty": b"", "it's $(x) é [1];": b"x", "two words.bin": bytes(range(256)) * 5000}


@pytest.mark.parametrize(
    ("side", "name"),
    [*((kind, name) for kind in UNLIKE for name in CONTENTS), ("@wsl", "two words.bin")],
    indirect=["side"],
)
def test_any_content_and_name_both_ways(side: Side, name: str, tmp_path: Path) -> None:
    content = CONTENTS[name]
    assert side.host.put_file(io.BytesIO(content), side.remote + name)
    assert {file.name: file.read_bytes() for file in side.local.iterdir()} == {name: content}
    back = io.BytesIO()
    assert side.host.get_file(side.remote + name, back)
    assert side.host.get_file(side.remote + name, str(tmp_path / "back"))
    assert back.getvalue() == (tmp_path / "back").read_bytes() == content


@pytest.mark.parametrize("side", UNLIKE, indirect=True)
def test_a_file_that_is_there_is_replaced_whole(side: Side) -> None:
    assert side.host.put_file(io.BytesIO(b"old and long"), side.remote + "file")
    (side.local / "file").chmod(0o640)
    assert side.host.put_file(io.StringIO("new"), side.remote + "file")
    assert [file.name for file in side.local.iterdir()] == ["file"]
    assert (side.local / "file").read_bytes() == b"new"
    if not side.remote.startswith("C:"):
        assert (side.local / "file").stat().st_mode & 0o777 == 0o640


def test_a_new_file_has_the_mode_that_any_program_would_give_it(hosts: Hosts, linux_pc: Sshd, tmp_path: Path) -> None:
    host = the(hosts({"@linux/pc": linux_pc.data}), "@linux/pc")
    assert host.put_file(io.BytesIO(b"x"), f"{tmp_path}/put")
    assert host.run_shell_command(f"touch {tmp_path}/touched")[0]
    assert (tmp_path / "put").stat().st_mode == (tmp_path / "touched").stat().st_mode


def said(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(record.getMessage() for record in caplog.records if record.levelname == "ERROR")


@pytest.mark.parametrize("side", UNLIKE, indirect=True)
def test_paths_that_are_missing_are_named(side: Side, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    absent = side.remote + "no folder/file"
    (tmp_path / "back").write_text("kept")
    assert not side.host.put_file(io.BytesIO(b"x"), absent)
    assert f"upload failed: {absent}: " in said(caplog)
    assert not side.host.get_file(absent, str(tmp_path / "back"))
    assert f"download failed: {absent}: " in said(caplog)
    assert (tmp_path / "back").read_text() == "kept"
    assert not side.host.put_file(str(tmp_path / "not here"), side.remote + "file")
    assert f"No such file or directory: '{tmp_path}/not here'" in said(caplog)
    assert f"{side.host.print_prefix}" in said(caplog)
    assert list(side.local.iterdir()) == []
    assert not (tmp_path / "back.part").exists()


@pytest.mark.parametrize("side", UNLIKE, indirect=True)
def test_a_folder_is_never_mistaken_for_a_file(side: Side, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (side.local / "folder").mkdir()
    assert not side.host.put_file(io.BytesIO(b"x"), side.remote + "folder")
    assert not side.host.get_file(side.remote + "folder", str(tmp_path / "back"))
    assert "upload failed" in said(caplog)
    assert "download failed" in said(caplog)
    assert [file.name for file in side.local.rglob("*")] == ["folder"]
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize("kind", UNLIKE)
def test_damage_on_the_way_is_found_and_changes_nothing(
    request: pytest.FixtureRequest, hosts: Hosts, tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    start = request.getfixturevalue("start")
    if kind == "@linux":
        pc = start(Sshd(tmp_path / "pc", f'ForceCommand {DAMAGE} sh -c "$SSH_ORIGINAL_COMMAND"'))
    else:
        engine = request.getfixturevalue("engine")
        pc = start(WindowsPC(tmp_path / "pc", f"{DAMAGE} {DOUBLE}/shell", engine=engine))
        pc.control("setup")
    folder = pc.path("C:") if kind == "@windows" else tmp_path
    remote = "C:\\file" if kind == "@windows" else f"{tmp_path}/file"
    host = the(hosts({f"{kind}/pc": pc.data}), f"{kind}/pc")
    content = b"x" * 1000 + b"a right byte" + b"x" * 1000
    (folder / "file").write_bytes(b"old")
    before = set(folder.iterdir())

    assert not host.put_file(io.BytesIO(content), remote)
    wrong = hashlib.sha256(content.replace(b"right", b"wrong")).hexdigest()
    assert f"file arrived damaged: {remote}: sha256 {wrong}, expected {hashlib.sha256(content).hexdigest()}" in said(
        caplog
    )
    assert (set(folder.iterdir()), (folder / "file").read_bytes()) == (before, b"old")

    (folder / "file").write_bytes(content)
    assert not host.get_file(remote, str(tmp_path / "back"))
    assert f"file arrived damaged: {remote}: sha256 {wrong}" in said(caplog).split("download failed")[1]
    assert not list(tmp_path.glob("back*"))

    assert host.put_file(io.BytesIO(b"nothing to damage"), remote)
