"""Whether a Windows PC waits for a restart, when it started last, and whether its system volume is protected."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from citadelle import powershell
from citadelle.facts.base import WindowsFact
from citadelle.hardening.state import listed

SCRIPT = files("citadelle.facts").joinpath("restart.ps1").read_text("utf-8")


@dataclass(frozen=True)
class RestartState:
    """`booted`: time of the last start, as ISO text; another text means another start.

    `protected`: BitLocker guards the system volume now; `recovery`: identifiers of the recovery keys that open it.
    """

    pending: bool = False
    booted: str = ""
    encrypted: bool = False
    protected: bool = False
    recovery: tuple[str, ...] = ()


class Restart(WindowsFact[RestartState]):
    """The state; one script in the PowerShell that is open."""

    default = RestartState

    def command(self) -> str:
        return powershell.query(SCRIPT)

    def judge(self, answer: dict[str, Any]) -> RestartState:
        return RestartState(**answer | {"recovery": tuple(listed(answer["recovery"]))})
