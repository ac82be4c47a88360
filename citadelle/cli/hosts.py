"""The hosts that serve answers, as the inventory names them, outside of a pyinfra run."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

from citadelle.connectors.linux import LinuxConnector
from citadelle.connectors.shell import Result, Shell
from citadelle.connectors.ssh import Connection, Target, connection
from citadelle.connectors.text import lines
from citadelle.connectors.wsl import command_line
from citadelle.facts.stack import Stack, StackState
from citadelle.inventory import allow_directories


@dataclass
class Serving:
    """One serving host: `pc` is its name, `connection` its SSH connection; commands run as root in its Linux."""

    pc: str
    name: str
    data: dict[str, Any]

    @property
    def connection(self) -> Connection:
        """The PC's SSH connection."""
        return connection(Target.from_data(self.pc, self.data))

    @cached_property
    def _shell(self) -> Shell:
        wsl = self.name.startswith("@wsl/")
        start = command_line(self.data["wsl_distro"], "/bin/sh") if wsl else LinuxConnector.SHELL
        return Shell(self.connection, start)

    def run(self, program: str, seconds: float = 60) -> Result:
        """Run as root. Raises OSError."""
        return self._shell.run(program, seconds=seconds)

    def read(self, program: str) -> str:
        """Stdout of a program that must succeed. Raises OSError with what it said."""
        result = self.run(program)
        if result.code:
            raise OSError(" ".join(lines(result.stderr)) or f"exit code {result.code}")
        return result.stdout.decode(errors="replace")

    def stack(self) -> StackState:
        """What runs on the host; the same fact that the deploy reads. Raises OSError."""
        output = [line for line in self.read(Stack().command()).splitlines() if line]
        return Stack().process(output) if output else StackState()


def serving_hosts(inventory: str, pattern: str = "*") -> list[Serving]:
    """Hosts of the groups `wsl` and `linux` whose PC name or host name matches `pattern`, in the inventory's order."""
    from pyinfra.api.state import State
    from pyinfra.context import ctx_state
    from pyinfra_cli.inventory import make_inventory

    allow_directories()
    with ctx_state.use(State()):  # inventory files are executed in the context of a run
        found = make_inventory(inventory)
    hosts = (
        Serving(_pc(host.name), host.name, host.data.dict()) for host in found if {"wsl", "linux"} & set(host.groups)
    )
    return [host for host in hosts if fnmatchcase(host.pc, pattern) or fnmatchcase(host.name, pattern)]


def _pc(name: str) -> str:
    return name.partition("/")[2].partition("/")[0] or name
