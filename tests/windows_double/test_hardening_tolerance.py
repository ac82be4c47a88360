"""Each query of the look made to fail in turn: only what is judged by it becomes unknown, by the error's id, and nothing else changes."""

from __future__ import annotations

import re
from typing import Any

import pytest

from citadelle.facts.hardening import SCRIPT
from citadelle.hardening.table import Control
from tests.hardening.states import TABLE, verdicts
from tests.windows_double.conftest import Double
from tests.windows_double.test_hardening import LOOK, run, state_of, windows  # noqa: F401  (a fixture)
from tests.windows_double.test_hardening_table import Pc

pytestmark = pytest.mark.lab

DENY = "Write-Error -Message 'Accès refusé.' -ErrorId 'Denied' -Category PermissionDenied"
# Where a query stands on a cmdlet that others use too, only its own use fails.
CLASSES = {"computer": "Win32_ComputerSystem", "disks": "Win32_LogicalDisk", "device_guard": "Win32_DeviceGuard",
           "gpus": "Win32_VideoController", "services": "Win32_Service", "antivirus": "AntiVirusProduct",
           "firewall_products": "FirewallProduct",
           "drivers": "Win32_SystemDriver"}  # fmt: skip
CMDLETS = {"tpm": "Get-Tpm", "secure_boot": "Confirm-SecureBootUEFI", "npus": "Get-PnpDevice", "bitlocker": "Get-BitLockerVolume",
           "firewall_profiles": "Get-NetFirewallProfile", "firewall_rules": "Get-NetFirewallRule",
           "ssh_openings": "Get-NetFirewallApplicationFilter",
           "hyperv_firewall": "Get-NetFirewallHyperVVMSetting", "hyperv_rules": "Get-NetFirewallHyperVRule",
           "listeners": "Get-NetTCPConnection", "defender": "Get-MpComputerStatus", "defender_preferences": "Get-MpPreference",
           "accounts": "Get-LocalUser", "version": "Get-ItemProperty", "events": "Get-ScheduledTask"}  # fmt: skip
PROGRAMS = {
    "session": "whoami.exe",
    "security_policy": "secedit.exe",
    "audit_policy": "auditpol.exe",
    "mfa": "dsregcmd.exe",
}
PLACES = {"logon": ("Get-Item", r"*\Winlogon"), "restart": ("Get-Item", r"*\Session Manager"), "laps": ("Test-Path", r"*\LAPS"),
          "port_proxies": ("Test-Path", r"*\PortProxy\*"), "distributions": ("Test-Path", r"*\Lxss"),
          "firewall_policy": ("Test-Path", r"*\WindowsFirewall\*"), "sshd": ("Test-Path", r"*\sshd.exe"),
          "rollback": ("Test-Path", r"*\rollback\armed"), "updates": ("Test-Path", r"*\updates.json"),
          "ssh_keys": ("Test-Path", r"*\administrators_authorized_keys")}  # fmt: skip
# Of a PC that never searched for updates, and whose people have shown no second factor.
UNPROVEN = {"WIN-LOG-08", "WIN-UPD-06", "WIN-UPD-07", "WIN-UPD-08", "WIN-MFA-01", "WIN-MFA-02"}
QUERIES = [*CLASSES, *CMDLETS, *PROGRAMS, *PLACES]


def broken(name: str) -> tuple[str, str]:
    """What stands before the script, and the id that its failure must have."""
    if name in CLASSES:
        inner = "CimCmdlets\\Get-CimInstance @PSBoundParameters"
        head = f"function Get-CimInstance {{ param($ClassName, $Namespace, $Filter) if ($ClassName -eq '{CLASSES[name]}') {{ {DENY} }}"
        return f"{head} {inner} }}\n", "Denied,Get-CimInstance"
    if name in CMDLETS:
        return f"function {CMDLETS[name]} {{ {DENY} }}\n", f"Denied,{CMDLETS[name]}"
    if name in PROGRAMS:
        other = f"if ($LiteralPath -like '*\\{PROGRAMS[name]}') {{ return @{{ FullName = '/bin/false' }} }}"
        head = f"function Get-Item {{ param($LiteralPath) {other}"
        return f"{head} Microsoft.PowerShell.Management\\Get-Item @PSBoundParameters }}\n", "exit code 1"
    cmdlet, place = PLACES[name]
    head = f"function {cmdlet} {{ param($LiteralPath, $Path) if ($LiteralPath -like '{place}') {{ {DENY} }}"
    return f"{head} Microsoft.PowerShell.Management\\{cmdlet} @PSBoundParameters }}\n", f"Denied,{cmdlet}"


# Sections that are read from others.
MADE_OF = {"edr": {"services"}, "edr_drivers": {"services", "drivers"}, "ssh_tokens": {"sshd", "ssh_keys"}}


def stands_on(control: Control, section: str) -> bool:
    """Whether a verdict needs a section, said once more and by other words than the judge's."""
    kinds = {
        "profile": "firewall_profiles",
        "hyperv": "hyperv_firewall",
        "directive": "sshd",
        "service": "services",
        "audit": "audit_policy",
        "account": "security_policy",
        "right": "security_policy",
    }
    probes = [control.judge, *(condition.judge for condition in control.when)]
    named = {kinds.get(probe.kind, probe.target.split(".")[0]) for probe in probes if probe.kind != "registry"}
    for made, sources in MADE_OF.items():
        named |= sources if made in named else set()
    return section in named | ({"version"} if control.editions else set())


def test_every_query_of_the_script_is_here() -> None:
    assert sorted(QUERIES) == sorted(re.findall(r"^Read-(?:Section|List) '(\w+)'", SCRIPT, re.M))


def test_a_query_that_fails_is_unknown_with_its_id_and_spoils_nothing_else(windows: Double) -> None:  # noqa: F811
    pc = Pc(windows)
    right = verdicts(state_of(pc.run(LOOK)))
    assert {name for name, verdict in right.items() if verdict.status == "unknown"} == UNPROVEN
    for name in QUERIES:
        head, identity = broken(name)
        state = state_of(pc.run(head + LOOK))
        assert state.errors.keys() == {name} | {made for made, sources in MADE_OF.items() if name in sources}
        assert state.errors[name].startswith(f"{identity} (0x"), name
        found = verdicts(state)
        assert found.keys() == right.keys()
        changed = {control for control, verdict in found.items() if verdict != right[control]}
        expected = {control.id for control in TABLE.controls if stands_on(control, name)}
        assert changed == {one for one in expected if not decided_before(right[one], name)}, name
        assert {found[control].status for control in changed} <= {"unknown"}
        assert all(identity in found[control].why for control in changed), name
        assert "Accès" not in str(state.errors), "no message, which is translated"
    pc.close()
    assert windows.starts("powershell.exe") == 1


def decided_before(verdict: Any, section: str) -> bool:
    """A control that does not apply is not asked for its value; what decides that was read."""
    control = verdict.control
    decides = {condition.judge.target.split(".")[0] for condition in control.when}
    decides |= {source for made in decides for source in MADE_OF.get(made, ())}
    decides |= {"version"} if control.editions else set()
    return verdict.status == "not applicable" and section not in decides


def test_one_registry_value_that_cannot_be_read_is_unknown_alone(windows: Double) -> None:  # noqa: F811
    key = r"HKLM:\SYSTEM\CurrentControlSet\Services\NetBT\Parameters"
    head = f"function Get-Item {{ param($LiteralPath) if ($LiteralPath -eq '{key}') {{ {DENY} }}"
    head += " Microsoft.PowerShell.Management\\Get-Item @PSBoundParameters }\n"
    before, after = run(windows, f"New-Item -Path '{key}' -Force | Out-Null\n" + LOOK, head + LOOK)
    right, found = verdicts(state_of(before)), verdicts(state_of(after))
    changed = {name for name, verdict in found.items() if verdict != right[name]}
    assert changed == {control.id for control in TABLE.controls if key in control.judge.target} != set()
    assert {found[name].status for name in changed} == {"unknown"}
    assert all(found[name].why.startswith(f"{key}!") and "Denied,Get-Item (0x" in found[name].why for name in changed)
