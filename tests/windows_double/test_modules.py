"""The generated modules: the documented parameters of each cmdlet, refusals as on Windows, no silent success."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import shared_path
from tests.windows_double.conftest import CODE, Console

pytestmark = pytest.mark.lab


def _check(table: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, CODE / "generate.py", table, "--check"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_generated_modules_are_those_of_the_table() -> None:
    done = _check(shared_path("data", "windows", "cmdlets-5.1-base.json"))
    assert (done.returncode, done.stderr) == (0, "")


def test_a_changed_table_is_noticed(tmp_path: Path) -> None:
    """A new parameter, and a module that is gone."""
    table = json.loads(shared_path("data", "windows", "cmdlets-5.1-base.json").read_text())
    table["cmdlets"]["Get-Service"]["parameters"]["Novelty"] = {"type": "switch"}
    table["cmdlets"] = {name: fact for name, fact in table["cmdlets"].items() if fact["module"] != "Appx"}
    changed = tmp_path / "table.json"
    changed.write_text(json.dumps(table))
    done = _check(changed)
    assert done.returncode == 1
    assert [Path(line).name for line in done.stderr.splitlines()] == [
        "Appx.psd1", "Appx.psm1", "WindowsDouble.Management.psm1",
    ]  # fmt: skip


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


SETS = """
$common = [Management.Automation.PSCmdlet]::CommonParameters + [Management.Automation.PSCmdlet]::OptionalCommonParameters
$rows = foreach ($file in Get-ChildItem "$env:WINDOWS_DOUBLE_CODE/modules/*/*.psd1") {
    foreach ($command in (Import-Module $file.FullName -PassThru -DisableNameChecking).ExportedFunctions.Values) {
        foreach ($set in $command.ParameterSets) {
            foreach ($p in $set.Parameters) {
                if ($common -contains $p.Name) { continue }
                $place = if ($p.Position -ge 0) { $p.Position }
                $pipe = "$(if ($p.ValueFromPipeline) { 'V' })$(if ($p.ValueFromPipelineByPropertyName) { 'N' })"
                "$($command.Name) $($set.Name) $($p.Name) $([int]$p.IsMandatory) $place/$pipe"
            }
        }
    }
}
[IO.File]::WriteAllLines('%s', [string[]]$rows)
"""


def _documented(name: str, fact: dict[str, Any]) -> set[str]:
    """Rows as `SETS` writes them, from the table itself. A function's only set is called __AllParameterSets.

    A set without a parameter of its own exists only when it is the default one; a few cmdlets have others, which calls never tell apart.
    """
    common = {"WhatIf", "Confirm", "UseTransaction"}
    rows = set()
    for own, words in fact["sets"].items():
        if not words and own not in ("(All)", fact.get("default")):
            continue
        placed = {word.lstrip("!").partition(":")[0]: word for word in words}
        for parameter in {*placed, *fact.get("every", [])} - common:
            word = placed.get(parameter, parameter)
            pipe = fact["parameters"][parameter].get("pipe") or ""
            mandatory, place = int(word.startswith("!")), word.partition(":")[2]
            rows.add(f"{name} {'__AllParameterSets' if own == '(All)' else own} {parameter} {mandatory} {place}/{pipe}")
    return rows


def test_parameter_sets_are_the_documented_ones(console: Console, tmp_path: Path) -> None:
    """What the engine makes of the generated text, against the table: sets, required, places, pipeline input."""
    table = json.loads(shared_path("data", "windows", "cmdlets-5.1-base.json").read_text())["cmdlets"]
    file = tmp_path / "rows"
    console.lines(SETS % file)
    shown = {row for row in file.read_text().splitlines() if " UseTransaction " not in row}
    names = {row.split()[0] for row in shown}
    assert len(names) > 800
    assert shown == {row for name in names for row in _documented(name, table[name])}


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
