"""The lab's PCs for its tests. They are never skipped because the lab is down: `bin/test lab` brings it up first."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.lab import state
from tests.lab.pcs import exec_in_pc, inspect
from tests.lab.powershell import MISSING
from tests.lab.rollout import rollout
from tests.lab.state import PC1, SRV1, Pc

Read = Callable[..., str]


@pytest.fixture(scope="session")
def lab() -> dict[str, Any]:
    """Content of `lab.json`; every PC in it runs."""
    found = state.read_lab()
    down = [pc["name"] for pc in found.get("pcs", []) if inspect(Pc(**pc).container, "{{.State.Running}}") != "true"]
    if not found or down:
        pytest.fail(f"the lab is not up: {', '.join(down) or state.STATE}\nhint: bin/lab", pytrace=False)
    return found


@pytest.fixture(scope="session")
def windows(lab: dict[str, Any]) -> Pc:
    """The Windows PC; without a PowerShell there is none."""
    if PC1.name not in {pc["name"] for pc in lab["pcs"]}:
        pytest.skip(MISSING)
    return PC1


@pytest.fixture(scope="session")
def pcs(lab: dict[str, Any]) -> list[Pc]:
    """Every PC of the lab."""
    return [Pc(**pc) for pc in lab["pcs"]]


@pytest.fixture(scope="session")
def converged(lab: dict[str, Any]) -> None:
    """The PCs are as the checkout says, whatever an interrupted test run left."""
    run = rollout()
    assert run.code == 0, run.text


@pytest.fixture
def read() -> Read:
    """`read(pc, "shell line")`: what a command says inside a PC, past SSH, connectors and facts of ours; it must succeed."""

    def in_pc(pc: Pc, line: str) -> str:
        done = exec_in_pc(pc.name, ["sh", "-c", line])
        assert done.returncode == 0, f"{pc.name}: {line}: {done.stderr.decode(errors='replace')}"
        return done.stdout.decode()

    return in_pc


@pytest.fixture
def control(windows: Pc) -> Callable[..., str]:
    """`control("word", "value")` tells the Windows double of pc1 something."""

    def tell(*words: str) -> str:
        line = ["runuser", "-u", "operator", "--", "/opt/windows-double/control", *words]
        done = exec_in_pc(windows.name, line)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout.decode()

    return tell


@pytest.fixture
def other_inventory(tmp_path: Path) -> Callable[..., str]:
    """`other_inventory(**{"srv1": {"key": value}})`: the lab's inventory with other data for some PCs, as a file."""

    def make(extra: str = "", **data: dict[str, Any]) -> str:
        file = tmp_path / "inventory.py"
        lines = [
            (state.ROOT / "inventory/lab.py").read_text(),
            f"_other = {data!r}",
            "for _group in (windows, wsl, linux):",
            '    _group[:] = [(n, d | _other.get(n.split("/")[1], {})) for n, d in _group]',
            extra,
        ]
        file.write_text("\n".join(lines))
        return str(file)

    return make


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the tracked files, to change what a rollout brings; pyinfra runs from it with the lab's own state."""
    folder = tmp_path / "checkout"
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=state.ROOT, capture_output=True, check=True, text=True
    ).stdout
    for name in filter(None, listed.split("\0")):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((state.ROOT / name).read_bytes())
        target.chmod((state.ROOT / name).stat().st_mode)
    return folder


@pytest.fixture
def server() -> Pc:
    """The plain Linux PC."""
    return SRV1
