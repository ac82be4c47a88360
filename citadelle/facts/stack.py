"""The stack of a host as its own script and Docker see it."""

from __future__ import annotations

from dataclasses import dataclass, field

from pyinfra.api import QuoteString, StringCommand

from citadelle.facts.base import Fact
from citadelle.keys import PROGRAM

STACK = "/usr/local/lib/citadelle/stack"


@dataclass(frozen=True)
class Service:
    """One container: digest of its configuration, state ("running"), Docker's status text ("Up 2 minutes (healthy)")."""

    config: str
    state: str
    status: str

    @property
    def healthy(self) -> bool:
        """Running, and its health check agrees."""
        return self.state == "running" and "(healthy)" in self.status


@dataclass(frozen=True)
class StackState:
    """`current`: id of the current release ("" for none); `intact`: its files are what its manifest says; `boots`: its unit is on."""

    current: str = ""
    intact: bool = False
    boots: bool = False
    wanted: dict[str, str] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)

    def problems(self, release: str) -> list[str]:
        """What differs from `release` running well; empty when nothing does."""
        if self.current != release:
            return [f"current release is {self.current or 'none'}"]
        found = [] if self.intact else ["files of the release have changed"]
        for name in sorted(self.wanted.keys() | self.services.keys()):
            service = self.services.get(name)
            if service is None:
                found.append(f"{name} is missing")
            elif service.config != self.wanted.get(name):
                found.append(f"{name} has another configuration")
            elif not service.healthy:
                found.append(f"{name} is not healthy: {service.status}")
        return found


class Stack(Fact[StackState]):
    """What runs, and whether it is what the current release says."""

    default = StackState

    def command(self) -> str:
        return f"test ! -x {STACK} || {STACK} state"

    def parse(self, output: list[str]) -> StackState:
        rows = [line.split(" ") for line in output]
        return StackState(
            current=next((row[1] for row in rows if row[0] == "current"), ""),
            intact=["files", "intact"] in rows,
            boots=["unit", "enabled", "active"] in rows,
            wanted={row[1]: row[2] for row in rows if row[0] == "wanted"},
            services={row[1]: Service(row[2], row[3], " ".join(row[4:])) for row in rows if row[0] == "running"},
        )


class ReleaseThere(Fact[bool]):
    """Whether a release's folder is on the host and is what its manifest says."""

    default = bool

    def command(self, folder: str) -> StringCommand:
        check = "sha256sum --check --quiet MANIFEST.sha256 >/dev/null 2>&1 && echo yes; true"
        return StringCommand("cd", QuoteString(folder), "2>/dev/null &&", check)

    def parse(self, output: list[str]) -> bool:
        return output == ["yes"]


class GatewayKey(Fact[bool]):
    """Whether the operator's key is there, and the gateway's file holds its keyed hash. The key itself is never printed."""

    default = bool

    def command(self) -> str:
        return f"python3 -I -B {PROGRAM} operator --check 2>/dev/null && echo yes; true"

    def parse(self, output: list[str]) -> bool:
        return output == ["yes"]
