"""All that the controls of a host need, in one look: one script in the shell that is open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from pyinfra.api import QuoteString, StringCommand

from citadelle import powershell
from citadelle.facts.base import Fact, WindowsFact
from citadelle.hardening import linux
from citadelle.hardening.accelerators import NEURAL
from citadelle.hardening.state import State

_SOURCES = files("citadelle.facts")
# What the line to the PC hangs on, and evidence, stand in files of their own; the answer comes last.
PARTS = ("hardening", "line", "hardening_evidence", "hardening_answer")
SCRIPT = "".join(_SOURCES.joinpath(f"{part}.ps1").read_text("utf-8") for part in PARTS)
# The functions of the look; what sets controls reads them again by the same ones.
LOOK = _SOURCES.joinpath("hardening.sh").read_text("utf-8")


class Hardening(WindowsFact[State]):
    """The state that controls are judged from. `values`: registry values to read, as `KEY!NAME` (`HKLM:\\SOFTWARE\\...!EnableLUA`)."""

    default = State

    def command(self, values: Sequence[str] = ()) -> str:
        return powershell.query(powershell.assign(values=list(values), neural=NEURAL) + SCRIPT)

    def judge(self, answer: dict[str, Any]) -> State:
        return State.parse(answer)


class LinuxHardening(Fact[State]):
    """The state of a Linux host that controls are judged from. `names`: kind -> names to read, as `Table.names` gives them."""

    default = State

    def command(self, names: Mapping[str, Sequence[str]]) -> StringCommand:
        words = [QuoteString(f"{kind}={name}") for kind, of_kind in names.items() for name in of_kind]
        return StringCommand(f"{LOOK}\nlook", *words)

    def parse(self, output: list[str]) -> State:
        return linux.parse(linux.raw(line for line in output if line))
