"""Updates of Windows: searched for daily by a task of the system, and installed by one where that is asked for."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Generator
from importlib.resources import files

from pyinfra import host
from pyinfra.api import FileUploadCommand, StringCommand, operation
from pyinfra.api.command import PyinfraCommand

from citadelle import powershell
from citadelle.escrow.store import Escrow
from citadelle.facts.restart import Restart
from citadelle.facts.updates import ARGUMENTS, PROGRAM, Updates, UpdatesState
from citadelle.operations.restart import unrecoverable

SCRIPTS = files("citadelle.operations")
CONTENT = SCRIPTS.joinpath("updates_program.ps1").read_bytes()
RUN = SCRIPTS.joinpath("updates.ps1").read_text("utf-8")
SEARCH_MINUTES = 30
OWN_FOLDER = SCRIPTS.joinpath("own_folder.ps1").read_text("utf-8")
DAILY = r"""
$execute = "$env:SystemRoot\System32\WindowsPowerShell\v1.0\powershell.exe"
$action = New-ScheduledTaskAction -Execute $execute -Argument $arguments
$trigger = New-ScheduledTaskTrigger -Daily -At '12:00'
$principal = New-ScheduledTaskPrincipal -UserId 'S-1-5-18' -LogonType ServiceAccount -RunLevel Highest
$power = @{ AllowStartIfOnBatteries = $true; DontStopIfGoingOnBatteries = $true; StartWhenAvailable = $true }
$settings = New-ScheduledTaskSettingsSet @power -ExecutionTimeLimit (New-TimeSpan -Hours 1)
$task = @{ Action = $action; Trigger = $trigger; Principal = $principal; Settings = $settings; Force = $true }
Register-ScheduledTask -TaskName 'updates' -TaskPath '\citadelle\' @task | Out-Null
"""


def _wanted(state: UpdatesState) -> bool:
    return state.program == hashlib.sha256(CONTENT).hexdigest() and state.task


def _run(switch: str, minutes: int) -> StringCommand:
    return StringCommand(powershell.assign(arguments=ARGUMENTS, more=switch, minutes=minutes) + RUN)


@operation()
def searched() -> Generator[PyinfraCommand, None, None]:
    """Have the program and its daily task, and a first result of it. Only that result is read by others: a search takes minutes."""
    state = host.get_fact(Updates)
    if _wanted(state) and state.searched:
        host.noop("updates are searched for daily")
        return
    if not _wanted(state):
        yield StringCommand(OWN_FOLDER)
        yield FileUploadCommand(io.BytesIO(CONTENT), PROGRAM.replace("\\", "/"))
        yield StringCommand(powershell.assign(arguments=ARGUMENTS) + DAILY)
    if not state.searched:
        yield _run("", SEARCH_MINUTES)


@operation()
def installed(minutes: int, escrow: Escrow | None) -> Generator[PyinfraCommand, None, None]:
    """Have every update that the last search has found. Restarts nothing.

    + minutes: how long that may take; then the host fails.
    + escrow: where the recovery keys must lie; a PC whose system volume is encrypted is refused without one.
    """
    pending = host.get_fact(Updates).pending
    if not pending:
        host.noop("no update is missing")
        return
    yield unrecoverable(host.get_fact(Restart), escrow) or _run("-Install", minutes)
