"""Events of a Windows PC, handed to its distribution by a task: whence rsyslog ships them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Generator
from importlib.resources import files

from pyinfra import host
from pyinfra.api import FileUploadCommand, StringCommand, operation
from pyinfra.api.command import PyinfraCommand

from citadelle import powershell
from citadelle.facts.events import ARGUMENTS, PROGRAM, READERS, TABLE, Events

SCRIPTS = files("citadelle.operations")
CONTENT = SCRIPTS.joinpath("events_program.ps1").read_bytes()
OWN_FOLDER = SCRIPTS.joinpath("own_folder.ps1").read_text("utf-8")
READ = r"""
$sid = [string](Get-LocalUser -Name $user).SID.Value
Add-LocalGroupMember -SID $readers -Member $sid
"""
TASK = r"""
$execute = "$env:SystemRoot\System32\WindowsPowerShell\v1.0\powershell.exe"
$action = New-ScheduledTaskAction -Execute $execute -Argument $arguments
$trigger = New-ScheduledTaskTrigger -Once -At (Get-Date) -RepetitionInterval (New-TimeSpan -Seconds $seconds)
$principal = New-ScheduledTaskPrincipal -UserId "$env:COMPUTERNAME\$user" -LogonType S4U -RunLevel Limited
$power = @{ AllowStartIfOnBatteries = $true; DontStopIfGoingOnBatteries = $true; StartWhenAvailable = $true }
$settings = New-ScheduledTaskSettingsSet @power -MultipleInstances IgnoreNew -ExecutionTimeLimit (New-TimeSpan -Minutes 15)
$task = @{ Action = $action; Trigger = $trigger; Principal = $principal; Settings = $settings; Force = $true }
Register-ScheduledTask -TaskName 'events' -TaskPath '\citadelle\' @task | Out-Null
"""


@operation()
def handed_over(user: str, table: bytes, seconds: int) -> Generator[PyinfraCommand, None, None]:
    """Have the program, its table, and the task that runs it as the owner of the distribution, who may read event logs.

    + user: that account.
    + table: which events, and whereto; as `citadelle.shipping.channels.content` makes it.
    + seconds: how often.
    """
    state = host.get_fact(Events, user=user, seconds=seconds)
    wanted = {PROGRAM: (state.program, CONTENT), TABLE: (state.table, table)}
    wrong = {path: content for path, (found, content) in wanted.items() if found != hashlib.sha256(content).hexdigest()}
    if not wrong and state.reader and state.task:
        host.noop("events of Windows are handed over")
        return
    if wrong:
        yield StringCommand(OWN_FOLDER)
    for path, content in wrong.items():
        yield FileUploadCommand(io.BytesIO(content), path.replace("\\", "/"))
    if not state.reader:
        yield StringCommand(powershell.assign(user=user, readers=READERS) + READ)
    if not state.task:
        yield StringCommand(powershell.assign(user=user, arguments=ARGUMENTS, seconds=seconds) + TASK)
