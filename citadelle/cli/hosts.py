"""The hosts that serve answers, as the inventory names them, outside of a pyinfra run."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from pyinfra.api.exceptions import FactProcessError

from citadelle.connectors.linux import LinuxConnector
from citadelle.connectors.posix import PosixConnector
from citadelle.connectors.shell import Result
from citadelle.connectors.ssh import Connection
from citadelle.connectors.text import lines
from citadelle.facts.stack import Stack, StackState
from citadelle.inventory import allow_directories


@dataclass(frozen=True)
class Serving:
    """One serving host: `pc` is its name, commands run as root in its Linux, `connection` is its SSH connection."""

    pc: str
    connector: PosixConnector

    @property
    def connection(self) -> Connection:
        """The PC's SSH connection."""
        return self.connector.connection

    def run(self, program: str, seconds: float = 60) -> Result:
        """Run as root. Raises OSError, also where no answer comes in time."""
        try:
            return self.connector.shell().run(program, seconds=seconds)
        except TimeoutError:
            raise OSError(f"no answer after {seconds:.0f} s: {program}") from None

    def read(self, program: str) -> str:
        """Stdout of a program that must succeed. Raises OSError with what it said."""
        result = self.run(program)
        if result.code:
            raise OSError(" ".join(lines(result.stderr)) or f"exit code {result.code}: {program}")
        return result.stdout.decode(errors="replace")

    def stack(self) -> StackState:
        """What runs on the host; the same fact that the deploy reads. Raises OSError."""
        output = [line for line in self.read(Stack().command()).splitlines() if line]
        try:
            return Stack().process(output) if output else StackState()
        except FactProcessError as error:
            raise OSError(str(error)) from error

    def problem(self, error: Exception) -> tuple[str, str]:
        """What is wrong, in one line without the host's name, and the next step."""
        said = repr(error) if isinstance(error, LookupError) else str(error)
        what, _, hint = said.removeprefix(f"{self.connector.host.name}: ").partition("\nhint: ")
        return " ".join(what.split()) or repr(error), hint or f"citadelle doctor --host {self.pc}"


def serving_hosts(inventory: str, pattern: str = "*") -> list[Serving]:
    """Hosts of the groups `wsl` and `linux` whose PC name or host name matches `pattern`, in the inventory's order."""
    from pyinfra.api.state import State
    from pyinfra.context import ctx_state
    from pyinfra_cli.inventory import make_inventory

    allow_directories()
    state = State()
    with ctx_state.use(state):  # inventory files are executed in the context of a run
        found = [host for host in make_inventory(inventory) if {"wsl", "linux"} & set(host.groups)]
    hosts = []
    for host in found:
        own = issubclass(host.connector_cls, PosixConnector)
        hosts.append(Serving(_pc(host.name), (host.connector_cls if own else LinuxConnector)(state, host)))
    return [one for one in hosts if fnmatchcase(one.pc, pattern) or fnmatchcase(one.connector.host.name, pattern)]


def _pc(name: str) -> str:
    return name.partition("/")[2].partition("/")[0] or name
