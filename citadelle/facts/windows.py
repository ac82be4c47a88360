"""A Windows PC in one look: platform, WSL, distributions. Language-independent: registry values only."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from citadelle import powershell
from citadelle.facts.base import WindowsFact

SCRIPT = files("citadelle.facts").joinpath("windows.ps1").read_text("utf-8")


@dataclass(frozen=True)
class WindowsState:
    """`edition` is EditionID (`Professional`, `Core` for Home); ProductName is not read, since Windows 11 says "Windows 10" there.

    `wsl`: the WSL program of its own package is there; `utf8`: machine-wide WSL_UTF8; `config`: text of the user's .wslconfig.
    """

    build: int = 0
    revision: int = 0
    edition: str = ""
    display: str = ""
    wsl: bool = False
    utf8: str = ""
    profile: str = ""
    config: str = ""
    distributions: tuple[str, ...] = ()


class Windows(WindowsFact[WindowsState]):
    """The state of the PC; one script in the PowerShell that is open."""

    default = WindowsState

    def command(self) -> str:
        return powershell.query(SCRIPT)

    def judge(self, answer: dict[str, Any]) -> WindowsState:
        return WindowsState(**answer | {"distributions": tuple(answer["distributions"])})
