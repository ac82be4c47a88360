"""The way to a PC is broken: only that PC fails, with what is wrong and its cure; the others finish; the next run converges."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab import state
from tests.lab.commands import address
from tests.lab.conftest import Read
from tests.lab.pcs import exec_in_pc
from tests.lab.rollout import Run, rollout
from tests.lab.state import SRV1, Pc

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("converged")]

NOBODY = address(99)  # of the lab's bridge, without a PC


def assert_only(run: Run, failed: str, what: str) -> None:
    """One host failed, with `<host>: <what>` and a hint; every other host had no change and no error."""
    assert run.code == 1, run.text
    lines = run.text.splitlines()
    told = [number for number, line in enumerate(lines) if f"{failed}: {what}" in line]
    assert told, run.text
    assert lines[told[0] + 1].lstrip().startswith("hint: "), run.text
    done = run.hosts("no_change") - {failed}
    assert len(done) >= 1
    assert run.hosts("success") | run.hosts("error") <= {failed}


def test_a_host_that_nobody_answers_for(other_inventory: Callable[..., str]) -> None:
    run = rollout(inventory=other_inventory(srv1={"ssh_hostname": NOBODY}))
    assert_only(run, "@linux/srv1", f"unreachable: {NOBODY}")
    assert rollout().changed_nothing


def test_another_host_key_than_the_known_one(other_inventory: Callable[..., str], tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    kind, key = (tmp_path / "other.pub").read_text().split()[:2]
    (tmp_path / "known_hosts").write_text(f"{SRV1.address} {kind} {key}\n")
    run = rollout(inventory=other_inventory(srv1={"ssh_known_hosts_file": str(tmp_path / "known_hosts")}))
    assert_only(run, "@linux/srv1", "host key is another one than expected: ssh-ed25519 SHA256:")


def test_a_host_key_that_nobody_vouched_for(other_inventory: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "known_hosts").write_text("")
    run = rollout(inventory=other_inventory(srv1={"ssh_known_hosts_file": str(tmp_path / "known_hosts")}))
    assert_only(run, "@linux/srv1", "host key is unknown: ssh-ed25519 SHA256:")
    assert (tmp_path / "known_hosts").read_text() == ""


def test_a_user_key_that_the_pc_does_not_know(other_inventory: Callable[..., str], tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    run = rollout(inventory=other_inventory(srv1={"ssh_key": str(tmp_path / "other")}))
    assert_only(run, "@linux/srv1", f"key is refused for user operator: {tmp_path / 'other'}")


def test_both_sides_of_a_windows_pc_are_refused_at_once(
    windows: Pc, other_inventory: Callable[..., str], tmp_path: Path
) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    run = rollout(inventory=other_inventory(pc1={"ssh_key": str(tmp_path / "other")}))
    assert run.code == 1
    for host in ("@windows/pc1", "@wsl/pc1"):
        assert f"{host}: key is refused for user operator" in run.text
    assert run.hosts("no_change") == {"@linux/srv1"}


def test_a_missing_distribution(control: Callable[..., str]) -> None:
    control("distro", "missing")
    try:
        run = rollout()
        assert run.code == 1
        assert "@windows/pc1: WSL distribution is missing: citadelle" in run.text
        assert "hint: set wsl_rootfs" in run.text
        assert "@wsl/pc1: its Windows side has failed: @windows/pc1" in run.text
        assert run.hosts("error") == {"@windows/pc1", "@wsl/pc1"}
        assert "@linux/srv1" in run.hosts("no_change")
    finally:
        control("distro", "present")
    assert rollout().changed_nothing


def cut(pc: str) -> None:
    """Kill whatever serves SSH sessions in the PC; its listener stays."""
    exec_in_pc(pc, ["pkill", "-9", "-f", "^sshd: [a-z-]+(@| \\[priv)"])


@pytest.mark.parametrize("name", ["srv1", "pc1"])
def test_a_line_cut_in_mid_operation(name: str, checkout: Path, read: Read, request: pytest.FixtureRequest) -> None:
    """Cut while the new release starts: the host fails by name, the next run finishes what was begun."""
    if name == "pc1":
        request.getfixturevalue("windows")
    pc = state.PC1 if name == "pc1" else state.SRV1
    prompt = checkout / "policies/system-prompt.md"
    prompt.write_text(prompt.read_text() + "\nAnswer in one sentence.\n")
    before = read(pc, "readlink /opt/citadelle/current")

    def cut_when_it_starts() -> None:
        for _ in range(600):
            if b"stack up" in exec_in_pc(name, ["pgrep", "-af", "citadelle/stack up"]).stdout:
                return cut(name)
            time.sleep(0.05)

    cutter = threading.Thread(target=cut_when_it_starts)
    cutter.start()
    run = rollout(checkout=checkout)
    cutter.join()
    host = "@wsl/pc1" if name == "pc1" else "@linux/srv1"
    # The Windows side has nothing left to do by then.
    assert run.hosts("error") == {host}, run.text
    assert f"{host}: connection cut during a command: it may have been carried out or not" in run.text
    assert "hint: run again when the PC answers" in run.text
    again = rollout(checkout=checkout)
    assert again.code == 0, again.text
    assert rollout(checkout=checkout).changed_nothing
    assert read(pc, "readlink /opt/citadelle/current") != before
    assert rollout().code == 0
    assert read(pc, "readlink /opt/citadelle/current") == before
