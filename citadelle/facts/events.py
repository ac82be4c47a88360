"""The task of a Windows PC that hands its events to the distribution."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from citadelle import powershell
from citadelle.facts.base import WindowsFact

SCRIPTS = files("citadelle.facts")
SCRIPT = "".join(SCRIPTS.joinpath(name).read_text("utf-8") for name in ("members.ps1", "events.ps1"))
PROGRAM, TABLE = r"C:\ProgramData\citadelle\events.ps1", r"C:\ProgramData\citadelle\events.json"
ARGUMENTS = f"-NoProfile -NonInteractive -ExecutionPolicy Bypass -File {PROGRAM} -Path {TABLE}"
READERS = "S-1-5-32-573"  # Event Log Readers


@dataclass(frozen=True)
class EventsState:
    """`program`, `table`: SHA-256 of the task's files, empty where absent.

    `reader`: its account may read event logs; `task`: it runs as asked.
    """

    program: str = ""
    table: str = ""
    reader: bool = False
    task: bool = False


class Events(WindowsFact[EventsState]):
    """The state, of the task of `user` that runs every `seconds`; one script in the PowerShell that is open."""

    default = EventsState

    def command(self, user: str, seconds: int) -> str:
        given = powershell.assign(
            program=PROGRAM, table=TABLE, readers=READERS, user=user, arguments=ARGUMENTS, seconds=seconds
        )
        return powershell.query(given + SCRIPT)

    def judge(self, answer: dict[str, Any]) -> EventsState:
        return EventsState(**answer)
