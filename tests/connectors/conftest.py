"""PCs on loopback: a plain Linux one and one that plays Windows, each behind a genuine sshd; and pyinfra states over them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api import Config, Inventory, State
from pyinfra.api.connect import connect_all
from pyinfra.api.host import Host

from citadelle.connectors import ssh
from tests.conftest import ROOT, shared_path
from tests.sshd import Sshd

DOUBLE = ROOT / "tests/lab/windows/shell"

Connect = Callable[..., Any]


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    """A PC with a plain shell; stopped at the end."""
    server = Sshd(tmp_path / "sshd").start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def engine() -> str:
    """Folder of the genuine PowerShell engine."""
    installer = shared_path("tools", "pwsh", "install")
    found = subprocess.run(["sh", installer], capture_output=True, text=True, check=True).stdout.strip()
    return str(Path(found).parent)


@pytest.fixture
def windows_pc(tmp_path: Path, engine: str) -> Iterator[Sshd]:
    """A PC whose every command goes to the Windows double; its home is `folder / "windows"`."""
    home = tmp_path / "pc" / "windows"
    extra = f"ForceCommand {DOUBLE}\nSetEnv WINDOWS_DOUBLE_HOME={home} WINDOWS_DOUBLE_POWERSHELL={engine}\nPermitTTY no"
    server = Sshd(tmp_path / "pc", extra)
    home.mkdir()
    server.start()
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def fresh_connections() -> Iterator[None]:
    """No test sees another one's connections."""
    yield
    ssh.close_all()


@pytest.fixture
def hosts() -> Connect:
    """`hosts({"@linux/a": data, ...})` gives a connected pyinfra state; `connect=False` leaves it unconnected."""

    def make(data: dict[str, dict[str, Any]], connect: bool = True) -> State:
        kinds: dict[str, list[str]] = {}
        for name in data:
            kinds.setdefault(name[1:].partition("/")[0], []).append(name)
        groups = {kind: ([*names], {}) for kind, names in kinds.items()}
        state = State(Inventory((list(data.items()), {}), **groups), Config())
        if connect:
            connect_all(state)
        return state

    return make


def the(state: State, name: str) -> Host:
    """One host of a state by its name."""
    found = state.inventory.get_host(name)
    assert found is not None
    return found
