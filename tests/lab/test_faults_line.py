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


def assert_told(run: Run, failed: str, what: str) -> None:
    """One of the hosts that failed, with `<host>: <what>` and a hint."""
    lines = run.text.splitlines()
    told = [number for number, line in enumerate(lines) if f"{failed}: {what}" in line]
    assert told, run.text
    assert lines[told[0] + 1].lstrip().startswith("hint: "), run.text


# Beside the PCs as they are: their addresses once more under other names, each with a way that is broken.
BROKEN = """
def _again(hosts, name, **other):
    return [(host.split("/")[0] + "/" + name, data | {{"stack_tls_port": None}} | other) for host, data in hosts[:1]]
linux += _again(linux, "gone", ssh_hostname={nobody!r})
linux += _again(linux, "changed", ssh_known_hosts_file={other!r})
linux += _again(linux, "unknown", ssh_known_hosts_file={empty!r})
linux += _again(linux, "stranger", ssh_key={key!r})
windows += _again(windows, "refused", ssh_key={key!r})
wsl += _again(wsl, "refused", ssh_key={key!r})
"""


def test_every_broken_way_is_told_with_its_cure_and_the_others_finish(
    other_inventory: Callable[..., str], tmp_path: Path, pcs: list[Pc]
) -> None:
    key, other, empty = (tmp_path / name for name in ("key", "other", "empty"))
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    kind, public = key.with_suffix(".pub").read_text().split()[:2]
    other.write_text(f"{SRV1.address} {kind} {public}\n")
    empty.write_text("")
    extra = BROKEN.format(nobody=NOBODY, other=str(other), empty=str(empty), key=str(key))
    run = rollout(inventory=other_inventory(extra))
    assert run.code == 1, run.text
    assert_told(run, "@linux/gone", f"unreachable: {NOBODY}")
    assert_told(run, "@linux/changed", "host key is another one than expected: ssh-ed25519 SHA256:")
    assert_told(run, "@linux/unknown", "host key is unknown: ssh-ed25519 SHA256:")
    assert empty.read_text() == "", "nobody vouched for it: it is not learned"
    assert_told(run, "@linux/stranger", f"key is refused for user operator: {key}")
    right = {"@linux/srv1"}
    if len(pcs) > 1:
        assert_told(run, "@windows/refused", f"key is refused for user operator: {key}")
        assert "@wsl/refused: key is refused for user operator" in run.text
        right |= {"@windows/pc1", "@wsl/pc1"}
    assert (run.hosts("no_change"), run.hosts("success"), run.hosts("error") & right) == (right, set(), set())
    assert rollout().changed_nothing


def test_a_missing_distribution(control: Callable[..., str], other_inventory: Callable[..., str]) -> None:
    """Without a file to import it is an error; with one, the next run registers it again."""
    control("distro", "missing")
    run = rollout(inventory=other_inventory(pc1={"wsl_rootfs": None, "wsl_rootfs_sha256": None}))
    assert run.code == 1, run.text
    assert "@windows/pc1: WSL distribution is missing: citadelle" in run.text
    assert "hint: set wsl_rootfs" in run.text
    assert "@wsl/pc1: its Windows side has failed: @windows/pc1" in run.text
    assert run.hosts("error") == {"@windows/pc1", "@wsl/pc1"}
    assert "@linux/srv1" in run.hosts("no_change")
    run = rollout()
    assert run.code == 0, run.text
    assert "WSL | Register the WSL distribution" in run.operations("success", "@windows/pc1")
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
