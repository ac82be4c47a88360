"""pyinfra's own operations over `@wsl` and `@linux`: the same run, and the same PC after it, as over pyinfra's own `@ssh`.

Four PCs of their own, made for this file and removed after it. They are read past SSH, never through a connector.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.lab import pcs, state
from tests.lab.commands import address
from tests.lab.machine import usable
from tests.lab.state import Kind
from tests.lab.stock import ALWAYS, DATA, FAILING, FOLDER, LEFT_BY_SSH

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1500)]

PARTS = ("packages.py", "accounts.py", "files.py")


@dataclass(frozen=True)
class Side:
    """One host of the comparison and the PC behind it. `data`: what its inventory says besides `ssh_*`."""

    host: str
    kind: Kind
    address: str
    user: str
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def pc(self) -> str:
        return self.host.partition("/")[2]

    def says(self, script: str, *values: str) -> str:
        """Output of a script that runs as root in the PC, past SSH."""
        done = pcs.exec_in_pc(self.pc, ["sh", "-c", script, "sh", *values])
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout.decode()


# Ours beside pyinfra's own: root's shell in the distribution, and an administrator who becomes root.
WSL = Side("@wsl/stock-wsl", "windows", address(61), "operator", {"wsl_distro": "citadelle", "wsl_user": ""})
ROOT_SSH = Side("@ssh/stock-root", "linux", address(62), "root")
LINUX = Side("@linux/stock-linux", "linux", address(63), "operator")
SUDO_SSH = Side("@ssh/stock-sudo", "linux", address(64), "operator", {"_sudo": True})
SIDES = (WSL, ROOT_SSH, LINUX, SUDO_SSH)
PAIRS = [pytest.param(WSL, ROOT_SSH, id="wsl"), pytest.param(LINUX, SUDO_SSH, id="linux")]


@dataclass(frozen=True)
class Runs:
    """Results of pyinfra's own JSON for the two runs, and the folder into which `files.get` fetched."""

    first: list[dict[str, Any]]
    second: list[dict[str, Any]]
    folder: Path


@pytest.fixture(scope="module")
def sides() -> Iterator[tuple[Side, ...]]:
    """The PCs, up; the one for pyinfra's `@ssh` as root lets root in."""
    if not usable() or pcs.inspect(state.SRV1.container, "{{.Id}}") is None:
        pytest.skip("no lab on this machine: run bin/lab")
    try:
        for side in SIDES:
            pcs.start_pc(side.pc, side.kind, side.address)
            side.says("touch /run/stock-start")
        ROOT_SSH.says(
            "install -d -m 700 /root/.ssh && cp /home/operator/.ssh/authorized_keys /root/.ssh/ && chown root: /root/.ssh/*"
            " && echo 'PermitRootLogin prohibit-password' > /etc/ssh/sshd_config.d/a.conf && systemctl reload ssh"
        )
        yield SIDES
    finally:
        for side in SIDES:
            pcs.remove_pc(side.pc)


@pytest.fixture(scope="module")
def runs(sides: tuple[Side, ...], tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """The same operations twice on all hosts side by side, by the command that everybody uses."""
    folder = tmp_path_factory.mktemp("stock")
    with tarfile.open(folder / "site.tar.gz", "w:gz") as archive:
        archive.add(DATA / "site", "site")
    hosts = [(side.host, _data(side, folder)) for side in sides]
    (folder / "inventory.py").write_text(f"hosts = {hosts!r}\n")
    return Runs(_run(folder), _run(folder), folder)


def _data(side: Side, folder: Path) -> dict[str, Any]:
    return {
        "ssh_hostname": side.address,
        "ssh_user": side.user,
        "ssh_key": str(state.STATE / "id_ed25519"),
        "ssh_known_hosts_file": str(state.STATE / "known_hosts"),
        "ssh_strict_host_key_checking": "yes",
        "stock_archive": str(folder / "site.tar.gz"),
        "stock_sha256": hashlib.sha256((DATA / "site/index.html").read_bytes()).hexdigest(),
        "stock_fetched": str(folder / side.pc),
        **side.data,
    }


def _run(folder: Path) -> list[dict[str, Any]]:
    parts = [str(DATA.parent / part) for part in PARTS]
    done = subprocess.run(
        [Path(sys.executable).with_name("pyinfra"), "-y", "--json", folder / "inventory.py", *parts],
        cwd=ROOT,
        env={**os.environ, "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.stdout.startswith("{"), _problems(done.stderr)
    results = json.loads(done.stdout)["results"]
    assert results["failed_hosts"] == [], _problems(done.stderr)
    operations: list[dict[str, Any]] = results["operations"]
    return operations


def _problems(log: str) -> str:
    return "\n".join(
        line for line in log.splitlines() if line.strip() and not line.endswith((" Success", " No changes"))
    )


def _outcomes(operations: list[dict[str, Any]], side: Side) -> dict[str, str]:
    found = {}
    for operation in operations:
        for outcome in ("success", "no_change", "error"):
            if side.host in operation[outcome]:
                found[operation["name"]] = outcome
    return found


def _always(name: str) -> bool:
    return name in ALWAYS or name.partition(":")[0] in ALWAYS


@pytest.mark.parametrize(("ours", "stock"), PAIRS)
def test_both_runs_end_as_over_pyinfras_own_connector(runs: Runs, ours: Side, stock: Side) -> None:
    for operations in (runs.first, runs.second):
        assert _outcomes(operations, ours) == _outcomes(operations, stock)


@pytest.mark.parametrize("side", SIDES, ids=lambda side: side.pc)
def test_first_run_changes_all_and_second_only_what_always_changes(runs: Runs, side: Side) -> None:
    first, second = _outcomes(runs.first, side), _outcomes(runs.second, side)
    assert len({name.partition(":")[0] for name in first}) >= 36
    assert {name for name, outcome in first.items() if outcome != "success"} == FAILING
    expected = {name: "error" if name in FAILING else "success" if _always(name) else "no_change" for name in first}
    assert second == expected


# What a PC writes by itself, or writes with the time in it; everything else in its file system must be the same.
OWN = re.compile(
    r"""^\./(?:
    var/log/ | var/cache/(?:ldconfig|debconf|apt/.*\.bin$) | var/lib/(?:systemd|windows-double|apt/periodic|apt/lists)(?:/|$)
    | etc/(?:hosts|hostname|resolv\.conf|machine-id|\.pwd\.lock|ld\.so\.cache)$ | etc/ssh/ | root/\.ssh/ | C:/ | opt/windows-double/
    | var/spool/cron/crontabs/ | srv/stock/(?:origin|clone)/\.git/ | etc/(?:passwd|group|shadow|gshadow|subuid|subgid)-$
    )""",
    re.VERBOSE,
)
CHANGED = r"""cd / && find . -xdev -newercm /run/stock-start \( ! -type d -o -path './srv/*' \) -printf '%y %m %U:%G %s %l|%p\0'"""
SUMS = r"""cd / && find . -xdev -newercm /run/stock-start -type f -print0 | xargs -0 -r sha256sum --zero"""


# pyinfra's own name of a temporary file, another one on each host: server.script leaves its script there.
TEMPORARY = re.compile(r"\./tmp/pyinfra-[0-9a-f]{40}$")


def _tree(side: Side) -> set[str]:
    """Everything in the PC whose content, mode or owner changed since the start: what the run did, and what it left behind."""
    found = {}
    for entry in side.says(CHANGED).split("\0")[:-1]:
        what, _, path = entry.partition("|")
        found[path] = what
    for entry in side.says(SUMS).split("\0")[:-1]:
        digest, _, path = entry.partition("  ")
        found[path] += f" {digest}"
    return {f"{TEMPORARY.sub('./tmp/pyinfra-*', path)}: {what}" for path, what in found.items() if not OWN.match(path)}


@pytest.mark.parametrize(("ours", "stock"), PAIRS)
def test_files_are_the_same_afterwards(runs: Runs, ours: Side, stock: Side) -> None:
    mine, theirs = _tree(ours), _tree(stock)
    assert len(theirs) > 300
    left = [entry for entry in theirs - mine if hashlib.sha256(LEFT_BY_SSH.encode()).hexdigest() in entry]
    assert (len(left), left[0].startswith("./tmp/pyinfra-*: f 644 ")) == (1, True)
    assert mine == theirs.difference(left), "\n".join(sorted(mine ^ theirs))


@pytest.mark.parametrize(("ours", "stock"), PAIRS)
def test_fetched_files_are_the_same(runs: Runs, ours: Side, stock: Side) -> None:
    mine, theirs = (
        {file.name: file.read_bytes() for file in (runs.folder / side.pc).iterdir()} for side in (ours, stock)
    )
    assert sorted(theirs) == ["by-sudo", "bytes", "shadow", "three megabytes"]
    assert theirs["bytes"] == bytes(range(256)) * 4
    assert mine == theirs


# What is no file: one line of each.
BESIDES = {
    "service": "systemctl is-active stock-web; systemctl is-enabled stock-web",
    "stopped service": "systemctl is-active cron; systemctl is-enabled cron",
    "kernel": "cat /proc/sys/net/ipv4/tcp_fin_timeout",
    "mount": f"findmnt --noheadings --output FSTYPE,OPTIONS {FOLDER}/mounted",
    "hosts": "grep stock.example /etc/hosts",
    "crontab": "for user in root operator; do crontab -l -u $user | grep -v '^# [(D]'; done",
    "commit": f"git -C {FOLDER}/clone -c safe.directory='*' rev-parse HEAD; git -C {FOLDER}/clone -c safe.directory='*' status --short",
    "packages": "dpkg-query --show --showformat '${Package} ${Version} ${db:Status-Abbrev}\\n'",
    "own key": "cat /home/operator/.ssh/authorized_keys",
}
EXPECTED = {"service": "active\nenabled\n", "stopped service": "inactive\ndisabled\n", "kernel": "42\n"}


@pytest.mark.parametrize("what", BESIDES)
@pytest.mark.parametrize(("ours", "stock"), PAIRS)
def test_what_is_no_file_is_the_same(runs: Runs, ours: Side, stock: Side, what: str) -> None:
    mine, theirs = (side.says(f"{BESIDES[what]}; true") for side in (ours, stock))
    assert mine == theirs == EXPECTED.get(what, theirs) != ""
