"""PCs on loopback: a plain Linux one and one that plays Windows, each behind a genuine sshd; and pyinfra states over them."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api import Config, Inventory, State
from pyinfra.api.connect import connect_all
from pyinfra.api.host import Host

from citadelle.connectors.linux import LinuxConnector
from citadelle.connectors.shell import Shell
from citadelle.connectors.ssh import Connection, Target, connection
from citadelle.connectors.windows import PowerShell
from tests.conftest import ROOT, shared_path
from tests.inventory.conftest import checkout  # noqa: F401  (a fixture)
from tests.sshd import Sshd

DOUBLE = ROOT / "tests/lab/windows"

Hosts = Callable[[dict[str, dict[str, Any]]], State]


@dataclass
class WindowsPC(Sshd):
    """A PC whose every request goes to the Windows double."""

    engine: str = ""

    def __post_init__(self) -> None:
        settings = f"WINDOWS_DOUBLE_HOME={self.home} WINDOWS_DOUBLE_POWERSHELL={self.engine}"
        self.extra = f"ForceCommand {self.extra or DOUBLE / 'shell'}\nSetEnv {settings}\nPermitTTY no"
        self.home.mkdir(parents=True)
        super().__post_init__()

    @property
    def data(self) -> dict[str, object]:
        """One account has all: this sshd lets in nobody but who runs the tests."""
        return super().data | {"wsl_user": ""}

    @property
    def home(self) -> Path:
        """Where the double keeps its state."""
        return self.folder / "windows"

    def path(self, windows: str) -> Path:
        """The file behind `C:\\x`."""
        return self.home / windows.replace("\\", "/")

    def control(self, *words: str) -> None:
        """Turn a knob of the double."""
        environment = os.environ | {"WINDOWS_DOUBLE_HOME": str(self.home), "WINDOWS_DOUBLE_POWERSHELL": self.engine}
        subprocess.run([DOUBLE / "control", *words], env=environment, check=True, capture_output=True)

    def journal(self) -> list[dict[str, Any]]:
        """The double's own record of the programs that were started."""
        return [json.loads(line) for line in (self.home / "journal.jsonl").read_text().splitlines()]

    def starts(self, program: str) -> int:
        """How often a program was started so far."""
        return sum(entry["program"] == program for entry in self.journal())


@pytest.fixture
def start() -> Iterator[Callable[[Sshd], Sshd]]:
    """Starts a PC of the test's own; it is stopped however the test ends."""
    with ExitStack() as started:

        def go(server: Sshd) -> Sshd:
            started.callback(server.stop)
            return server.start()

        yield go


@pytest.fixture
def sshd(tmp_path: Path, start: Callable[[Sshd], Sshd]) -> Sshd:
    """A PC of this test's own with a plain shell."""
    return start(Sshd(tmp_path / "sshd"))


@pytest.fixture(scope="session")
def linux_pc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A PC with a plain shell."""
    server = Sshd(tmp_path_factory.mktemp("linux")).start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def engine() -> str:
    """Folder of the genuine PowerShell engine."""
    installer = shared_path("tools", "pwsh", "install")
    found = subprocess.run(["sh", installer], capture_output=True, text=True, check=True).stdout.strip()
    return str(Path(found).parent)


@pytest.fixture(scope="session")
def windows_pc(tmp_path_factory: pytest.TempPathFactory, engine: str) -> Iterator[WindowsPC]:
    """A PC that plays Windows. What a test changes in it, it puts back."""
    server = WindowsPC(tmp_path_factory.mktemp("windows"), engine=engine)
    server.start()
    server.control("setup")
    server.control("journal", "clear")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def shell(linux_pc: Sshd) -> Iterator[Shell]:
    """A root shell that all tests share which leave it alive."""
    line = Connection(Target.from_data("linux", linux_pc.data))
    yield Shell(line, LinuxConnector.SHELL)
    line.close()


def make_state(data: dict[str, dict[str, Any]]) -> State:
    """A pyinfra state over these hosts, connected as far as that is possible."""
    kinds: dict[str, list[str]] = {}
    for name in data:
        kinds.setdefault(name[1:].partition("/")[0], []).append(name)
    groups = {kind: ([*names], {}) for kind, names in kinds.items()}
    state = State(Inventory((list(data.items()), {}), **groups), Config())
    connect_all(state)
    return state


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    """`hosts({"@linux/a": data, ...})` gives a state; its connections end with the test."""
    made = []

    def make(data: dict[str, dict[str, Any]]) -> State:
        made.extend(Target.from_data("", given) for given in data.values())
        return make_state(data)

    yield make
    for target in made:
        connection(target).close()


@pytest.fixture(scope="session")
def windows_host(windows_pc: WindowsPC) -> Host:
    """`@windows/pc`, kept connected for all tests that need no PowerShell of their own: to start one takes longer than most tests."""
    known = windows_pc.folder / "known_hosts"
    known.write_text(known.read_text() + known.read_text().replace("[127.0.0.1]", "[localhost]"))
    return the(make_state({"@windows/pc": windows_pc.data | {"ssh_hostname": "localhost"}}), "@windows/pc")


@pytest.fixture
def powershell(windows_host: Host) -> PowerShell:
    """The PowerShell of `windows_host`."""
    found: PowerShell = windows_host.connector.shell()
    return found


def the(state: State, name: str) -> Host:
    """One host of a state by its name."""
    found = state.inventory.get_host(name)
    assert found is not None
    return found


def is_alive(pid: int) -> bool:
    """Whether a process is there and not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def until(what: Callable[[], object], seconds: float = 20) -> None:
    """Wait for something that is about to be true; fails when it does not become true."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, f"still not so after {seconds} s"
        time.sleep(0.02)
