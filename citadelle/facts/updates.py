"""The task of a Windows PC that searches for updates, and what it has found."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from citadelle import powershell
from citadelle.facts.base import WindowsFact

SCRIPT = files("citadelle.facts").joinpath("updates.ps1").read_text("utf-8")
PROGRAM = r"C:\ProgramData\citadelle\updates.ps1"
ARGUMENTS = f"-NoProfile -NonInteractive -ExecutionPolicy Bypass -File {PROGRAM}"


@dataclass(frozen=True)
class UpdatesState:
    """`program`: SHA-256 of the task's program, empty where it is absent. `task`: it runs daily, as the system.

    `searched`: it has succeeded once; `pending`: titles of the updates that it found missing.
    """

    program: str = ""
    task: bool = False
    searched: bool = False
    pending: tuple[str, ...] = ()


class Updates(WindowsFact[UpdatesState]):
    """The state; one script in the PowerShell that is open. Nothing is searched for: that takes minutes."""

    default = UpdatesState

    def command(self) -> str:
        return powershell.query(powershell.assign(program=PROGRAM, arguments=ARGUMENTS) + SCRIPT)

    def judge(self, answer: dict[str, Any]) -> UpdatesState:
        found = answer["pending"]
        return UpdatesState(**answer | {"pending": tuple(found if isinstance(found, list) else [found])})
