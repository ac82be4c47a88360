"""All that the controls of Windows need, in one look: one script in the PowerShell that is open."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from citadelle import powershell
from citadelle.facts.base import WindowsFact
from citadelle.hardening.state import State

SCRIPT = files("citadelle.facts").joinpath("hardening.ps1").read_text("utf-8")


class Hardening(WindowsFact[State]):
    """The state that controls are judged from. `values`: registry values to read, as `KEY!NAME` (`HKLM:\\SOFTWARE\\...!EnableLUA`)."""

    default = State

    def command(self, values: Sequence[str] = ()) -> str:
        return powershell.query(powershell.assign(values=list(values)) + SCRIPT)

    def judge(self, answer: dict[str, Any]) -> State:
        return State.parse(answer)
