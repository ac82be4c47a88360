"""A restart of a Windows PC that is waited for: with BitLocker suspended for it alone, and protected again after it."""

from __future__ import annotations

from collections.abc import Generator

import click
from pyinfra import host, logger
from pyinfra.api import FunctionCommand, StringCommand, operation
from pyinfra.api.command import PyinfraCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State

from citadelle import powershell
from citadelle.escrow.store import Escrow
from citadelle.facts.restart import Restart, RestartState
from citadelle.operations.refusal import refusal

# A few seconds, so that the answer still arrives; planned, for an update of the system.
RESTART = r"""
& shutdown.exe /r /t 5 /d p:2:17
if ($LASTEXITCODE -ne 0) { throw "shutdown: exit code $LASTEXITCODE" }
"""
# Suspended for one start only: what updates do to the start of the PC would else ask for the recovery key.
SUSPENDED_RESTART = r"""
Suspend-BitLocker -MountPoint $env:SystemDrive -RebootCount 1 | Out-Null
& shutdown.exe /r /t 5 /d p:2:17
if ($LASTEXITCODE -ne 0) {
    $code = $LASTEXITCODE
    Resume-BitLocker -MountPoint $env:SystemDrive | Out-Null
    throw "shutdown: exit code $code"
}
"""
# Windows takes protection up again by itself, but not always before the SSH server answers.
PROTECTED = r"""
$until = (Get-Date).AddMinutes(2)
while ([int](Get-BitLockerVolume -MountPoint $env:SystemDrive).ProtectionStatus -ne 1) {
    if ((Get-Date) -gt $until) {
        throw "BitLocker is still suspended after the restart: ${env:SystemDrive}`nhint: Resume-BitLocker -MountPoint $env:SystemDrive"
    }
    Start-Sleep -Seconds 1
}
"""


def unrecoverable(state: RestartState, escrow: Escrow | None) -> FunctionCommand | None:
    """The refusal of a PC that could ask for a key which nobody has: what updates change at its start is a reason for it to ask."""
    pc = host.name.rpartition("/")[2]
    if not state.encrypted or (escrow and any(escrow.find(pc, one).is_whole for one in state.recovery)):
        return None
    return refusal(
        "no recovery key of the system volume lies in both folders of the escrow",
        "let the role bitlocker bring it there first",
    )


@operation()
def controlled(minutes: int, escrow: Escrow | None) -> Generator[PyinfraCommand, None, None]:
    """Restart the PC where it waits for that, and go on when it is there again.

    + minutes: how long that may take; then the host fails.
    + escrow: where its recovery keys must lie; a PC whose system volume is encrypted is refused without one.
    """
    state = host.get_fact(Restart)
    if not state.pending:
        host.noop("no restart is pending")
        return
    if refused := unrecoverable(state, escrow):
        yield refused
        return
    yield StringCommand(SUSPENDED_RESTART if state.protected else RESTART)
    yield FunctionCommand(_wait, (state.booted, minutes), {})
    if state.protected:
        yield StringCommand(PROTECTED)


def _wait(state: State, host: Host, booted: str, minutes: int) -> bool:
    script = powershell.query(
        "(Get-CimInstance -ClassName Win32_OperatingSystem).LastBootUpTime.ToUniversalTime().ToString('o')"
    )
    try:
        host.connector.wait_for(script, lambda answer: answer != f'"{booted}"', minutes * 60)
    except OSError as error:
        logger.error(click.style(str(error), fg="red"))
        return False
    return True
