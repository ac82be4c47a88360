"""The hosts of an inventory outside of a pyinfra run: those that serve answers, and the Windows around them."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar

from pyinfra.api.exceptions import FactProcessError

from citadelle.connectors.linux import LinuxConnector
from citadelle.connectors.posix import PosixConnector
from citadelle.connectors.shell import Result
from citadelle.connectors.ssh import Connection
from citadelle.connectors.text import lines
from citadelle.connectors.windows import WindowsConnector
from citadelle.facts.hardening import Hardening, LinuxHardening
from citadelle.facts.stack import Stack, StackState
from citadelle.hardening.state import State
from citadelle.inventory import allow_directories

T = TypeVar("T")
R = TypeVar("R")
SECONDS = 120  # for a look at all that controls are judged by
AT_ONCE = 32  # hosts asked side by side


def side_by_side(ask: Callable[[T], R], hosts: Sequence[T]) -> list[R]:
    """What each host answers, in the order of the hosts, asked at the same time: a slow host delays no other."""
    with ThreadPoolExecutor(max_workers=min(AT_ONCE, len(hosts)) or 1) as pool:
        return list(pool.map(ask, hosts))


def _problem(connector: Any, pc: str, error: Exception) -> tuple[str, str]:
    said = repr(error) if isinstance(error, LookupError) else str(error)
    what, _, hint = said.removeprefix(f"{connector.host.name}: ").partition("\nhint: ")
    return " ".join(what.split()) or repr(error), hint or f"citadelle doctor --host {pc}"


@dataclass(frozen=True)
class WindowsSide:
    """One Windows PC: `pc` is its name, scripts run in its PowerShell as its administrator. `data`: of the inventory."""

    pc: str
    connector: WindowsConnector

    @property
    def name(self) -> str:
        """As the inventory names it."""
        return str(self.connector.host.name)

    def look(self, names: Mapping[str, list[str]]) -> State:
        """The state that controls are judged from, `names` as of `Table.names`: one script, the deploy's own fact. Raises OSError."""
        try:
            result = self.connector.run(Hardening().command(values=names.get("registry", [])), SECONDS)
        except TimeoutError:
            raise OSError(f"no answer after {SECONDS} s: its state") from None
        if result.code:
            raise OSError(" ".join(lines(result.stderr)) or f"exit code {result.code}: its state")
        try:
            return Hardening().process(lines(result.stdout))
        except FactProcessError as error:
            raise OSError(str(error)) from error

    def problem(self, error: Exception) -> tuple[str, str]:
        """What is wrong, in one line without the host's name, and the next step."""
        return _problem(self.connector, self.pc, error)


@dataclass(frozen=True)
class Serving:
    """One serving host: `pc` is its name, commands run as root in its Linux, `connection` is its SSH connection."""

    pc: str
    connector: PosixConnector

    @property
    def connection(self) -> Connection:
        """The PC's SSH connection."""
        return self.connector.connection

    def run(
        self,
        program: str,
        seconds: float = 60,
        stdin: bytes = b"",
        what: str = "",
        heard: Callable[[str], None] | None = None,
    ) -> Result:
        """Run as root. `what`: name of a program too long to be told; `heard`: called with each line of its standard error when it comes.

        Raises OSError, also where no answer comes in time.
        """
        try:
            return self.connector.shell().run(program, stdin or None, seconds, heard)
        except TimeoutError:
            raise OSError(f"no answer after {seconds:.0f} s: {what or program}") from None

    def read(self, program: str, seconds: float = 60, what: str = "") -> str:
        """Stdout of a program that must succeed. Raises OSError with what it said."""
        result = self.run(program, seconds, what=what)
        if result.code:
            raise OSError(" ".join(lines(result.stderr)) or f"exit code {result.code}: {what or program}")
        return result.stdout.decode(errors="replace")

    def answer(self, path: str, words: Sequence[str]) -> str:
        """Stdout of a Python program of ours on the host. Raises OSError in its own words, hint included."""
        result = self.run(f"python3 -I -B {path} {shlex.join(words)}")
        if result.code:
            raise OSError(result.stderr.decode(errors="replace").strip() or f"exit code {result.code}: {path}")
        return result.stdout.decode(errors="replace")

    def stack(self) -> StackState:
        """What runs on the host; the same fact that the deploy reads. Raises OSError."""
        output = [line for line in self.read(Stack().command()).splitlines() if line]
        try:
            return Stack().process(output) if output else StackState()
        except FactProcessError as error:
            raise OSError(str(error)) from error

    def look(self, names: Mapping[str, list[str]]) -> State:
        """The state that controls are judged from, `names` as of `Table.names`: one script, the deploy's own fact. Raises OSError."""
        script = LinuxHardening().command(names=names).get_raw_value()
        try:
            return LinuxHardening().process(self.read(script, SECONDS, "its state").splitlines())
        except FactProcessError as error:
            raise OSError(str(error)) from error

    def problem(self, error: Exception) -> tuple[str, str]:
        """What is wrong, in one line without the host's name, and the next step."""
        return _problem(self.connector, self.pc, error)


def serving_hosts(inventory: str, pattern: str = "*") -> list[Serving]:
    """Hosts of the groups `wsl` and `linux` whose PC name or host name matches `pattern`, in the inventory's order."""
    return [one for one in all_hosts(inventory, pattern) if isinstance(one, Serving)]


def all_hosts(inventory: str, pattern: str = "*") -> list[Serving | WindowsSide]:
    """Hosts of the groups `wsl`, `linux` and `windows` that match, in the inventory's order."""
    from pyinfra.api.state import State
    from pyinfra.context import ctx_state
    from pyinfra_cli.inventory import make_inventory

    allow_directories()
    state = State()
    with ctx_state.use(state):  # inventory files are executed in the context of a run
        found = list(make_inventory(inventory))
    return [
        one
        for one in _made(state, found)
        if fnmatchcase(one.pc, pattern) or fnmatchcase(one.connector.host.name, pattern)
    ]


def _made(state: Any, found: Iterable[Any]) -> Iterable[Serving | WindowsSide]:
    for host in found:
        if {"wsl", "linux"} & set(host.groups):
            own = issubclass(host.connector_cls, PosixConnector)
            yield Serving(_pc(host.name), (host.connector_cls if own else LinuxConnector)(state, host))
        elif issubclass(host.connector_cls, WindowsConnector):
            yield WindowsSide(_pc(host.name), host.connector_cls(state, host))


def _pc(name: str) -> str:
    return name.partition("/")[2].partition("/")[0] or name


def chosen(inventory: str, pattern: str) -> list[Serving]:
    """The serving hosts that the options name. Raises SystemExit, with what is wrong, when there is none."""
    _refuse_absent(inventory)
    found = serving_hosts(inventory, pattern)
    if not found:
        raise SystemExit(
            f"no serving host in {inventory} matches: {pattern}\nhint: names are those of the groups wsl and linux"
        )
    return found


def both_sides(inventory: str, pattern: str) -> list[Serving | WindowsSide]:
    """The hosts that the options name, Windows itself too. Raises SystemExit, with what is wrong, when there is none."""
    _refuse_absent(inventory)
    found = all_hosts(inventory, pattern)
    if not found:
        raise SystemExit(
            f"no host in {inventory} matches: {pattern}\nhint: names are those of the groups windows, wsl and linux"
        )
    return found


def _refuse_absent(inventory: str) -> None:
    if not Path(inventory).exists():
        raise SystemExit(f"inventory is absent: {inventory}\nhint: run in the checkout, or give --inventory")
