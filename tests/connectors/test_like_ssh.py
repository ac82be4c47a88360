"""What pyinfra's own `@ssh` does for an operation, ours do too: its links, its users, its terminal."""

from __future__ import annotations

import io
import os
import pwd
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyinfra.api.host import Host

from citadelle.connectors.posix import is_other_user, needless
from tests.connectors.conftest import Hosts, the
from tests.sshd import Sshd

NOBODY = {"_su_user": "nobody", "_su_shell": "sh"}
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: to become another user")


@pytest.fixture(params=["@linux/pc", "@ssh/pc"])
def either(request: pytest.FixtureRequest, hosts: Hosts, linux_pc: Sshd) -> Host:
    """The same PC, through ours and through pyinfra's own connector."""
    return the(hosts({request.param: linux_pc.data}), request.param)


@pytest.fixture
def ours(hosts: Hosts, linux_pc: Sshd) -> Host:
    return the(hosts({"@linux/pc": linux_pc.data}), "@linux/pc")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that any user reaches (pytest's own are closed to others) and writes to."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


def test_a_link_leads_where_it_did(either: Host, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/target").write_text("old")
    (tmp_path / "link").symlink_to("elsewhere/target")
    (tmp_path / "to nothing").symlink_to(tmp_path / "elsewhere/new")
    assert either.put_file(io.BytesIO(b"content"), f"{tmp_path}/link")
    assert either.put_file(io.BytesIO(b"first"), f"{tmp_path}/to nothing")
    assert (tmp_path / "link").is_symlink()
    assert {file.name: file.read_text() for file in (tmp_path / "elsewhere").iterdir()} == {
        "target": "content",
        "new": "first",
    }


def test_a_file_with_two_names_stays_one_file(either: Host, tmp_path: Path) -> None:
    (tmp_path / "first").write_text("old")
    (tmp_path / "second").hardlink_to(tmp_path / "first")
    assert either.put_file(io.BytesIO(b"new"), f"{tmp_path}/second")
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"first": "new", "second": "new"}


def test_a_name_as_long_as_they_get(either: Host, tmp_path: Path) -> None:
    assert either.put_file(io.BytesIO(b"x"), f"{tmp_path}/{'n' * 255}")
    assert [file.name for file in tmp_path.iterdir()] == ["n" * 255]


def test_what_is_no_file_is_written_to_and_stays(ours: Host, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    pipe = os.open(tmp_path / "pipe", os.O_RDWR | os.O_NONBLOCK)
    assert ours.put_file(io.BytesIO(b"content"), f"{tmp_path}/pipe")
    assert (tmp_path / "pipe").is_fifo()
    assert os.read(pipe, 100) == b"content"
    os.close(pipe)


@needs_root
def test_a_file_of_another_user_is_that_users(ours: Host, open_folder: Path) -> None:
    mine = open_folder / "mine"
    mine.write_text("old")
    mine.chmod(0o606)
    assert ours.put_file(io.BytesIO(b"new"), f"{open_folder}/theirs", **NOBODY)
    assert ours.put_file(io.BytesIO(b"new"), str(mine), **NOBODY)
    owners = {file.name: pwd.getpwuid(file.stat().st_uid).pw_name for file in open_folder.iterdir()}
    assert owners == {"mine": "root", "theirs": "nobody"}
    assert mine.read_text() == "new"


@needs_root
def test_another_user_reads_and_writes_what_that_user_may(
    ours: Host, open_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (open_folder / "closed").mkdir(mode=0o700)
    (open_folder / "secret").write_text("root's own")
    (open_folder / "secret").chmod(0o600)
    back = io.BytesIO()
    assert not ours.put_file(io.BytesIO(b"x"), f"{open_folder}/closed/file", **NOBODY)
    assert not ours.put_file(io.BytesIO(b"x"), f"{open_folder}/secret", **NOBODY)
    assert not ours.get_file(f"{open_folder}/secret", back, **NOBODY)
    assert caplog.text.count("Permission denied") == 3
    assert (back.getvalue(), (open_folder / "secret").read_text()) == (b"", "root's own")
    assert sorted(file.name for file in open_folder.rglob("*")) == ["closed", "secret"]


def test_a_terminal_is_there_when_asked_for(either: Host) -> None:
    for wanted in (True, False):
        right, output = either.run_shell_command("test -t 1 && echo terminal; exit 3", _get_pty=wanted)
        assert (right, output.stdout_lines) == (False, ["terminal\r"] if wanted else [])


@pytest.mark.parametrize("command", ["", " ", "# a comment"])
def test_a_command_of_nothing_is_right(either: Host, command: str) -> None:
    assert either.run_shell_command(command)[0]


@pytest.mark.parametrize(
    ("arguments", "left_out", "is_other"),
    [
        ({"_sudo": True}, ["_sudo"], False),
        ({"_sudo": True, "_sudo_user": "root"}, ["_sudo"], False),
        ({"_sudo": True, "_sudo_user": "web"}, [], True),
        ({"_sudo_user": "web"}, [], False),
        ({"_sudo": True, "_use_sudo_login": True}, [], True),
        ({"_sudo": True, "_su_user": "web"}, ["_sudo"], True),
        ({"_doas": True, "_dzdo": True, "_dzdo_user": "web"}, ["_doas"], True),
        ({"_su_user": None, "_sudo": False}, [], False),
    ],
)
def test_root_is_not_asked_to_become_root(arguments: dict[str, object], left_out: list[str], is_other: bool) -> None:
    assert (needless(arguments), is_other_user(arguments)) == (left_out, is_other)
