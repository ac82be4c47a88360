"""The Windows account that owns the WSL distribution: no administrator, no password, started at boot with nobody logged in."""

from __future__ import annotations

from collections.abc import Generator
from importlib.resources import files

from pyinfra import host
from pyinfra.api import StringCommand, operation
from pyinfra.api.command import PyinfraCommand

from citadelle import powershell
from citadelle.facts.wsl_user import RIGHTS, USERS, WslTask, WslTaskState, WslUser
from citadelle.operations.refusal import refusal

DESCRIPTION = "Citadelle: owns WSL, nobody logs on as it"
WSL = r"C:\Program Files\WSL\wsl.exe"
SCRIPTS = files("citadelle.operations")
AS_USER = SCRIPTS.joinpath("as_user.ps1").read_text("utf-8")
MAKE = SCRIPTS.joinpath("wsl_user.ps1").read_text("utf-8")
TASK = r"\citadelle\wsl"
S4U = 2
RESTARTS = 10
KEYS = r"""
$sid = [string](Get-LocalUser -Name $user).SID.Value
$folder = (Get-ItemProperty -LiteralPath "HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList\$sid").ProfileImagePath + '\.ssh'
New-Item -ItemType Directory -Path $folder -Force | Out-Null
$file = "$folder\authorized_keys"
Set-Content -LiteralPath $file -Value $keys -Encoding ASCII -NoNewline
Set-ReadOnlyFor $file $sid
"""
START = r"""
$action = New-ScheduledTaskAction -Execute $execute -Argument $arguments
$trigger = New-ScheduledTaskTrigger -AtStartup
$principal = New-ScheduledTaskPrincipal -UserId "$env:COMPUTERNAME\$user" -LogonType S4U -RunLevel Limited
$minute = New-TimeSpan -Minutes 1
$power = @{ AllowStartIfOnBatteries = $true; DontStopIfGoingOnBatteries = $true; StartWhenAvailable = $true }
$holding = @{ RestartCount = $restarts; RestartInterval = $minute; ExecutionTimeLimit = [TimeSpan]::Zero; MultipleInstances = 'IgnoreNew' }
$settings = New-ScheduledTaskSettingsSet @power @holding
$task = @{ Action = $action; Trigger = $trigger; Principal = $principal; Settings = $settings; Force = $true }
Register-ScheduledTask -TaskName 'wsl' -TaskPath '\citadelle\' @task | Out-Null
"""
RUN = "Start-ScheduledTask -TaskName 'wsl' -TaskPath '\\citadelle\\'"


@operation()
def account(user: str) -> Generator[PyinfraCommand, None, None]:
    """Have the account: a random password that nobody knows, in no group but Users, logon as a batch job, none at the console or over RDP.

    + user: its name. An account of that name that is somebody else's is refused.
    """
    state = host.get_fact(WslUser, user=user)
    if state.sid and state.description != DESCRIPTION:
        yield refusal(
            f"account is somebody else's: {user}", "set wsl_user to a name that is free, or remove the account first"
        )
    elif state.is_right:
        host.noop(f"account {user} is right")
    else:
        leave = [group for group in state.groups if group != USERS]
        given = powershell.assign(
            user=user,
            description=DESCRIPTION,
            rights=list(RIGHTS),
            leave=leave,
            join=[USERS] * (USERS not in state.groups),
        )
        yield StringCommand(given + AS_USER + MAKE)


@operation()
def keys(user: str, lines: tuple[str, ...]) -> Generator[PyinfraCommand, None, None]:
    """Let those who administer the PC, and nobody else, log in as the account, by the same keys.

    + user: its name.
    + lines: the administrators' keys as this run sets them later; empty: as the PC has them.
    """
    state = host.get_fact(WslUser, user=user)
    wanted = "".join(f"{line}\r\n" for line in lines) or state.wanted_keys
    if not wanted:
        yield refusal(
            "nobody's SSH key is known to the PC: C:\\ProgramData\\ssh\\administrators_authorized_keys",
            "put the administrators' keys there: the distribution's owner takes the same",
        )
    elif state.lets_in(wanted):
        host.noop(f"who administers the PC may log in as {user}")
    else:
        yield StringCommand(powershell.assign(user=user, keys=wanted) + AS_USER + KEYS)


@operation()
def at_startup(user: str, distribution: str) -> Generator[PyinfraCommand, None, None]:
    """Have a task that starts the distribution at boot as its owner, without anybody's logon, and holds it; and have it running.

    + user: the account that owns the distribution.
    + distribution: its name.
    """
    wanted = WslTaskState(
        True, True, True, True, user, S4U, 0, WSL, f"-d {distribution} --exec /usr/bin/sleep infinity", "PT0S", RESTARTS
    )
    different = host.get_fact(WslTask).differs(wanted)
    if not different:
        host.noop(f"{distribution} starts at boot as {user}, and runs")
        return
    if different != ["running"]:
        given = powershell.assign(execute=wanted.execute, arguments=wanted.arguments, user=user, restarts=RESTARTS)
        yield StringCommand(given + START)
    yield StringCommand(RUN)
