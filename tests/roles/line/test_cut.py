"""The line is cut by the change itself: the PC goes back alone, the run fails by name, and a right value then converges."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.connectors.conftest import until
from tests.roles.line.conftest import LinePC, Run
from tests.sshd import make_key

pytestmark = pytest.mark.lab
Roll = Callable[..., Run]


@pytest.fixture
def other_key(tmp_path: Path) -> str:
    """The public half of a key that this controller does not have."""
    return make_key(tmp_path / "other").with_suffix(".pub").read_text().strip()


@pytest.fixture
def cut(pc: LinePC, roll: Roll) -> Callable[..., Run]:
    """`cut(key=value)`: a run that is locked out by what it sets, and sees the PC come back before the time that it gave."""

    def run(**data: Any) -> Run:
        with ThreadPoolExecutor() as pool:
            fired = pool.submit(pc.fire_when_refused)
            done = roll(line_seconds=900, **data)
            fired.result()
        return done

    return run


@pytest.mark.parametrize("language", ["en", "fr"])
def test_keys_without_ours_lock_out_and_the_pc_comes_back(
    pc: LinePC, roll: Roll, cut: Callable[..., Run], other_key: str, language: str
) -> None:
    pc.control("language", language)
    before = pc.snapshot
    run = cut(line_keys=[other_key])
    assert run.code == 1
    told = "the change of firewall and SSH server cut the line, and the host has gone back by itself: key is refused for user root"
    assert f"@windows/pc1: {told}" in run.output, run.output
    assert "hint: compare the line_* settings with the PC" in run.output
    assert pc.snapshot == before

    mine = (pc.folder / "user_key.pub").read_text().strip()
    again = roll(line_keys=[mine, other_key])
    assert again.code == 0, again.output
    assert pc.keys.read_bytes().decode() == f"{mine}\r\n{other_key}\r\n"
    assert (pc.state["tasks"], pc.folder_of_rollback.exists()) == ({}, False)
    assert roll(line_keys=[mine, other_key]).changed_nothing


def test_a_controller_that_is_killed_leaves_a_pc_that_goes_back(
    pc: LinePC, roll: Roll, kill_after: Callable[..., None], other_key: str
) -> None:
    before = pc.snapshot
    kill_after(lambda: pc.is_changed, line_keys=[other_key], line_seconds=60)
    assert pc.keys.read_text().strip() == other_key
    until(lambda: not pc.folder_of_rollback.exists(), 120)
    assert pc.snapshot == before
    assert roll().code == 0


def test_a_second_run_in_between_waits_instead_of_changing_more(
    pc: LinePC, roll: Roll, kill_after: Callable[..., None]
) -> None:
    kill_after(lambda: (pc.folder_of_rollback / "begun").exists(), line_seconds=300)
    run = roll()
    assert run.code == 1
    assert "@windows/pc1: a change of its line waits for its confirmation, and goes back by itself in " in run.output, (
        run.output
    )
    assert "hint: run again after that" in run.output


def test_a_restart_in_between_takes_the_change_back_at_once(
    pc: LinePC, kill_after: Callable[..., None], other_key: str
) -> None:
    before = pc.snapshot
    kill_after(lambda: pc.is_changed, line_keys=[other_key], line_seconds=900)
    pc.control("reboot")
    until(lambda: not pc.folder_of_rollback.exists(), 120)
    assert pc.snapshot == before


REFUSING = """#!/bin/sh
case "$*" in *-t*) echo "line 2: Bad configuration option: MaxAuthTries" >&2; exit 255 ;; esac
exec "${0%/*}/sshd" "$@"
"""


def test_a_configuration_that_the_server_refuses_is_refused_before_anything(pc: LinePC, roll: Roll) -> None:
    before = pc.snapshot
    program = pc.path("C:\\Windows\\System32\\OpenSSH\\sshd.exe")
    program.unlink()
    script = pc.folder / "refusing"
    script.write_text(REFUSING)
    script.chmod(0o755)
    program.symlink_to(script)
    run = roll()
    assert run.code == 1
    assert (
        "was refused before anything was changed: sshd -t: line 2: Bad configuration option: MaxAuthTries" in run.output
    ), run.output
    assert "hint: compare the line_* settings with the PC" in run.output
    assert pc.snapshot == before


def test_a_firewall_that_refuses_is_named_and_all_is_as_before(pc: LinePC, roll: Roll) -> None:
    before = pc.snapshot
    hook = pc.home / "hooks/firewall"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    run = roll()
    hook.unlink()
    assert run.code == 1
    assert "was refused" in run.output, run.output
    assert pc.snapshot == before
