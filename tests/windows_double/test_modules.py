"""The generated modules: the documented parameters of each cmdlet, refusals as on Windows, no silent success."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import shared_path
from tests.windows_double.conftest import CODE, Console

pytestmark = pytest.mark.lab


def test_the_generated_modules_are_those_of_the_table() -> None:
    table = shared_path("data", "windows", "cmdlets-5.1-base.json")
    done = subprocess.run(
        [sys.executable, CODE / "generate.py", table, "--check"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_changed_table_is_noticed(tmp_path: Path) -> None:
    table = json.loads(shared_path("data", "windows", "cmdlets-5.1-base.json").read_text())
    table["cmdlets"]["Get-Service"]["parameters"]["Novelty"] = {"type": "switch"}
    changed = tmp_path / "table.json"
    changed.write_text(json.dumps(table))
    done = subprocess.run(
        [sys.executable, CODE / "generate.py", changed, "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "WindowsDouble.Management" in done.stderr


def test_every_generated_function_can_be_called(console: Console) -> None:
    """The engine builds a function's parameters at its first use: a contradiction in the table would show there only."""
    script = """
    foreach ($file in Get-ChildItem "$env:WINDOWS_DOUBLE_CODE/modules/*/*.psd1") {
        foreach ($command in (Import-Module $file.FullName -PassThru -DisableNameChecking).ExportedFunctions.Values) {
            try { $count++; if ($null -eq $command.ParameterSets) { $command.Name } } catch { "$($command.Name): $_" }
        }
    }
    "$count functions"
    """
    lines = console.lines(script)
    assert len(lines) == 1, lines
    assert int(lines[0].split()[0]) > 800


WRONG = [
    ("Get-Service -Nmae x", "NamedParameterNotFound,Get-Service"),
    ("Set-NetFirewallRule -Name a -Enabled maybe", "ParameterArgumentTransformationError,Set-NetFirewallRule"),
    ("Set-NetFirewallRule -Name a -Enabled $true", "ParameterArgumentTransformationError,Set-NetFirewallRule"),
    ("New-LocalUser", "MissingMandatoryParameter,New-LocalUser"),
    ("New-LocalUser -Name a -NoPassword -Password x", "ParameterArgumentTransformationError,New-LocalUser"),
    (
        "New-NetFirewallHyperVRule -Name a -DisplayName a -LocalPortz 1",
        "NamedParameterNotFound,New-NetFirewallHyperVRule",
    ),
    ("Get-LocalUser -Name a -SID S-1-5-32-544", "AmbiguousParameterSet,Get-LocalUser"),
    ("Register-ScheduledTask -TaskName", "MissingArgument,Register-ScheduledTask"),
    ("Get-Service a b c", "PositionalParameterNotFound,Get-Service"),
    ("Set-Service sshd -StartupType Sometimes", "ParameterArgumentTransformationError,Set-Service"),
    ("Set-MpPreference -DisableRealtimeMonitoring perhaps", "ParameterArgumentTransformationError,Set-MpPreference"),
]


def test_wrong_parameters_fail_with_the_genuine_ids(console: Console) -> None:
    assert {line: console.errors(line) for line, _ in WRONG} == {line: [error] for line, error in WRONG}


MISSING = [
    ("Get-Service nope", "NoServiceFoundForGivenName"),
    ("Get-NetFirewallRule -Name nope", "CmdletizationQuery_NotFound_InstanceID"),
    ("Get-ScheduledTask -TaskName nope", "CmdletizationQuery_NotFound_TaskName"),
    ("Get-LocalUser nope", "UserNotFound"),
    ("Get-LocalGroup nope", "GroupNotFound"),
    ("Get-CimInstance Nope", "HRESULT 0x80041010"),
    ("Get-VpnConnection", "DoubleNotImplemented"),
    ("Get-CimInstance Win32_Printer", "DoubleNotImplemented"),
    ("Get-Service sshd -RequiredServices", "DoubleNotImplemented"),
]


def test_missing_things_fail_with_the_genuine_ids_and_unknown_ones_never_succeed(console: Console) -> None:
    found = {line: [error.split(",")[0] for error in console.errors(line)] for line, _ in MISSING}
    assert found == {line: [error] for line, error in MISSING}


POSITIONAL = """Disable-LocalUser operator
Enable-LocalUser operator
Get-LocalUser operator | Disable-LocalUser
Get-LocalUser -SID (Get-LocalUser operator).SID
Add-LocalGroupMember Users Guest
Remove-LocalGroupMember Users Guest
Get-LocalGroup Users | Get-LocalGroupMember
Get-LocalGroupMember Administrators operator
Stop-Service Spooler
Get-Service sshd | Restart-Service
Get-CimInstance Win32_OperatingSystem
Set-NetFirewallProfile Public -Enabled True
Remove-LocalUser operator"""


def test_bare_words_and_objects_find_their_parameter_sets(console: Console) -> None:
    """Calls that Windows takes: a text is a name although a SID or an object has the same place."""
    assert {line: console.errors(line) for line in POSITIONAL.split("\n")} == {
        line: [] for line in POSITIONAL.split("\n")
    }
    assert "operator" not in [user["Name"] for user in console.double.state["users"]]
