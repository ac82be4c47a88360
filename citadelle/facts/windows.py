"""A Windows PC in one look: platform, WSL, distributions. Language-independent: registry values only."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from citadelle import powershell
from citadelle.facts.base import WindowsFact

SCRIPT = files("citadelle.facts").joinpath("windows.ps1").read_text("utf-8")


@dataclass(frozen=True)
class Distribution:
    """One registration; `wsl2` is false for one that still is WSL1."""

    name: str
    wsl2: bool = True


@dataclass(frozen=True)
class WindowsState:
    """`edition` is EditionID (`Professional`, `Core` for Home); ProductName is not read, since Windows 11 says "Windows 10" there.

    `wsl`: the WSL program of its own package is there; `utf8`: machine-wide WSL_UTF8. Of WSL's owner:
    `sid`; `profile`, empty before the first logon; `config`, `config_size` (bytes), `config_access` (SDDL) of .wslconfig; `distributions`.
    """

    build: int = 0
    revision: int = 0
    edition: str = ""
    display: str = ""
    wsl: bool = False
    utf8: str = ""
    sid: str = ""
    profile: str = ""
    config: str = ""
    config_size: int = 0
    config_access: str = ""
    distributions: tuple[Distribution, ...] = ()


class Windows(WindowsFact[WindowsState]):
    """The state of the PC; one script in the PowerShell that is open. `owner`: account that owns WSL, empty for the SSH user."""

    default = WindowsState

    def command(self, owner: str = "") -> str:
        return powershell.query(powershell.assign(owner=owner) + SCRIPT)

    def judge(self, answer: dict[str, Any]) -> WindowsState:
        found = answer["distributions"]
        listed = found if isinstance(found, list) else [found]
        return WindowsState(**answer | {"distributions": tuple(Distribution(**one) for one in listed)})
