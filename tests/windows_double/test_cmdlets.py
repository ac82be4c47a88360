"""The Windows cmdlets: genuine parameters, state that survives processes, no silent success."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import shared_path
from tests.windows_double.conftest import CODE, Console, Double

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


def test_services_change_and_are_seen_by_the_next_process(windows: Double) -> None:
    windows.ps("Set-Service Spooler -StartupType Disabled; Stop-Service Spooler -Force; 'sshd' | Restart-Service")
    answer = windows.ps("Get-Service spooler | Select-Object Name,Status,StartType | ConvertTo-Json -Compress")
    assert json.loads(answer.text) == {"Name": "Spooler", "Status": 1, "StartType": 4}
    found = windows.state["services"]["Spooler"]
    assert found == {"DisplayName": "Print Spooler", "Status": "Stopped", "StartType": "Disabled"}


def test_a_disabled_service_does_not_start(console: Console) -> None:
    console.lines("Set-Service Spooler -StartupType Disabled; Stop-Service Spooler")
    (error,) = console.errors("Start-Service Spooler")
    assert error.startswith("CouldNotStartService")
    assert console.double.state["services"]["Spooler"]["Status"] == "Stopped"


def test_firewall_profiles_show_both_stores(console: Console) -> None:
    stores = (
        "$null, 'ActiveStore' | ForEach-Object { (Get-NetFirewallProfile Public -PolicyStore $_).DefaultInboundAction }"
    )
    assert console.lines(stores) == ["NotConfigured", "Block"]
    console.lines(
        "Set-NetFirewallProfile -All -Enabled True -DefaultInboundAction Block -LogBlocked True -LogMaxSizeKilobytes 16384"
    )
    shown = console.json(
        "Get-NetFirewallProfile | Select-Object Name,Enabled,DefaultInboundAction,LogBlocked,LogMaxSizeKilobytes"
    )
    assert shown == [
        {"Name": name, "Enabled": 1, "DefaultInboundAction": 4, "LogBlocked": 1, "LogMaxSizeKilobytes": 16384}
        for name in ("Domain", "Private", "Public")
    ]


def test_firewall_rules_round_trip(console: Console) -> None:
    console.lines(
        "New-NetFirewallRule -Name a -DisplayName a -Group g -Direction Inbound -Action Block -Profile Domain,Private"
        " -Protocol TCP -LocalPort 11434"
    )
    console.lines("Get-NetFirewallRule -Name a | Set-NetFirewallRule -RemoteAddress 10.0.0.0/8,LocalSubnet")
    rule = console.double.state["firewall"]["rules"]["a"]
    assert (rule["Action"], rule["LocalPort"]) == ("Block", ["11434"])
    assert rule["RemoteAddress"] == ["10.0.0.0/8", "LocalSubnet"]
    again = "New-NetFirewallRule -Name a -DisplayName a"
    assert console.errors(again) == ["Windows System Error 183,New-NetFirewallRule"]
    ports = "Get-NetFirewallRule a | Get-NetFirewallPortFilter | Select-Object Protocol,LocalPort"
    assert console.json(ports) == {"Protocol": "TCP", "LocalPort": "11434"}
    console.lines("Remove-NetFirewallRule -Name a")
    assert "a" not in console.double.state["firewall"]["rules"]


def test_hyper_v_firewall_of_wsl(console: Console) -> None:
    vm = "{40E0AC32-46A5-438A-A0B2-2B479E8F2E90}"
    console.lines(f"Set-NetFirewallHyperVVMSetting -Name '{vm}' -Enabled True -DefaultInboundAction Block")
    assert console.double.state["firewall"]["hyperv"][vm]["DefaultInboundAction"] == "Block"
    (error,) = console.errors("Get-NetFirewallHyperVVMSetting -Name '{00000000-0000-0000-0000-000000000000}'")
    assert error.startswith("CmdletizationQuery_NotFound")


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


def test_local_users_and_groups(console: Console) -> None:
    script = """
    $p = ConvertTo-SecureString ('Aa1!' + 'x' * 20) -AsPlainText -Force
    New-LocalUser -Name svc -Password $p -AccountNeverExpires -PasswordNeverExpires -UserMayNotChangePassword -Description 'd' | Out-Null
    Add-LocalGroupMember -SID S-1-5-32-545 -Member svc
    Get-LocalUser svc | Disable-LocalUser
    "$env:COMPUTERNAME\\svc"
    Get-LocalGroupMember -SID S-1-5-32-545 | ForEach-Object Name
    """
    name, *members = console.lines(script)
    assert name in members
    state = console.double.state
    user = next(user for user in state["users"] if user["Name"] == "svc")
    assert (user["Enabled"], user["PasswordRequired"], user["UserMayChangePassword"]) == (False, True, False)
    assert "Aa1!" not in json.dumps(state)
    assert console.errors("New-LocalUser svc -NoPassword") == ["UserExists,New-LocalUser"]
    assert console.errors("Add-LocalGroupMember -SID S-1-5-32-545 -Member svc")[0].startswith("MemberExists")


def test_scheduled_tasks_are_registered_and_really_run(console: Console) -> None:
    script = """
    $a = New-ScheduledTaskAction -Execute 'cmd' -Argument '/c echo ran> C:\\ran.txt'
    $t = New-ScheduledTaskTrigger -AtStartup
    $p = New-ScheduledTaskPrincipal -UserId "$env:COMPUTERNAME\\operator" -LogonType S4U -RunLevel Limited
    $s = New-ScheduledTaskSettingsSet -AllowStartIfOnBatteries -RestartCount 10 `
        -RestartInterval (New-TimeSpan -Minutes 1) -ExecutionTimeLimit ([TimeSpan]::Zero)
    Register-ScheduledTask -TaskName llm -TaskPath '\\stack\\' -Action $a -Trigger $t -Principal $p -Settings $s -Force | Out-Null
    Start-ScheduledTask -TaskName llm -TaskPath '\\stack\\'
    for ($i = 0; $i -lt 100 -and (Get-ScheduledTaskInfo -TaskName llm).LastTaskResult -ne 0; $i++) { Start-Sleep -Milliseconds 100 }
    $task = Get-ScheduledTask llm
    [ordered]@{ name = $task.TaskName; state = [int]$task.State; logon = [int]$task.Principal.LogonType
        result = (Get-ScheduledTaskInfo -TaskName llm).LastTaskResult }
    """
    assert console.json(script) == {"name": "llm", "state": 3, "logon": 2, "result": 0}
    assert console.double.path("C:\\ran.txt").read_bytes() == b"ran\r\n"


def test_bitlocker_keeps_one_recovery_password_until_it_encrypts(console: Console) -> None:
    console.lines(
        "Add-BitLockerKeyProtector -MountPoint C: -RecoveryPasswordProtector -WarningAction SilentlyContinue | Out-Null"
    )
    console.lines(
        "Enable-BitLocker -MountPoint C: -EncryptionMethod XtsAes256 -UsedSpaceOnly -TpmProtector -SkipHardwareTest | Out-Null"
    )
    script = """
    $v = Get-BitLockerVolume C:
    "$($v.VolumeStatus) $($v.ProtectionStatus) $([int]$v.EncryptionMethod) $($v.KeyProtector.KeyProtectorType -join ',')"
    """
    assert console.lines(script) == ["FullyEncrypted On 7 RecoveryPassword,Tpm"]
    groups = console.double.state["bitlocker"]["C:"]["KeyProtector"][0]["RecoveryPassword"].split("-")
    assert len(groups) == 8
    assert all(len(group) == 6 and int(group) % 11 == 0 and int(group) <= 720885 for group in groups)


def test_machine_facts(console: Console) -> None:
    script = """
    [ordered]@{
      sku = (Get-CimInstance Win32_OperatingSystem).OperatingSystemSKU
      domain = (Get-CimInstance Win32_ComputerSystem).PartOfDomain
      spec = (Get-CimInstance -Namespace root/cimv2/Security/MicrosoftTpm -ClassName Win32_Tpm).SpecVersion
      sshd = (Get-CimInstance Win32_Service -Filter "Name='sshd'").State
      tpm = (Get-Tpm).TpmReady; boot = Confirm-SecureBootUEFI; av = (Get-MpComputerStatus).AMRunningMode
      vmp = [int](Get-WindowsOptionalFeature -Online -FeatureName VirtualMachinePlatform).State
      ssh = [string](Get-WindowsCapability -Online -Name OpenSSH.Server*).State
    }
    """
    assert console.json(script) == {
        "sku": 48, "domain": False, "spec": "2.0, 0, 1.38", "sshd": "Running", "tpm": True, "boot": True, "av": "Normal",
        "vmp": 2, "ssh": "Installed",
    }  # fmt: skip


def test_a_feature_is_pending_until_the_reboot(console: Console) -> None:
    script = "(Enable-WindowsOptionalFeature -Online -FeatureName SMB1Protocol -NoRestart).RestartNeeded"
    assert console.lines(script) == ["True"]
    assert console.double.state["features"]["SMB1Protocol"]["State"] == "EnablePending"
    console.double.control("reboot")
    assert console.double.state["features"]["SMB1Protocol"]["State"] == "Enabled"


def test_whatif_changes_nothing(console: Console) -> None:
    before = console.double.state
    console.lines(
        "Stop-Service Spooler -WhatIf; Set-Service Spooler -StartupType Disabled -WhatIf; Disable-LocalUser operator -WhatIf"
    )
    assert console.double.state == before


def test_registry_items_and_values(console: Console) -> None:
    script = """
    New-Item HKLM:\\SOFTWARE\\Zed -Force | Out-Null
    New-ItemProperty HKLM:\\SOFTWARE\\Zed -Name N -Value 5 -PropertyType DWord -Force | Out-Null
    Set-ItemProperty -LiteralPath HKLM:\\SOFTWARE\\Zed -Name M -Value 'a','b' -Type MultiString
    Set-ItemProperty -LiteralPath HKLM:\\SOFTWARE\\Zed -Name B -Value ([byte[]](1,255)) -Type Binary
    Set-ItemProperty -LiteralPath HKLM:\\SOFTWARE\\Zed -Name U -Value 4294967295 -Type DWord
    $p = Get-ItemProperty HKLM:\\SOFTWARE\\zed
    "$($p.N + 1) $($p.M -join '+') $($p.B -join '+') $($p.U)"
    $p.PSPath
    $key = Get-Item HKLM:\\SOFTWARE\\Zed
    "$($key.GetValue('U')) $($key.GetValueKind('M')) $($key.ValueCount) $($key.GetValue('none', 'x'))"
    New-Item HKLM:\\SOFTWARE\\Zed\\Sub | Out-Null
    (Get-ChildItem HKLM:\\SOFTWARE\\Zed).PSChildName
    Remove-ItemProperty HKLM:\\SOFTWARE\\Zed N
    (Get-Item HKLM:\\SOFTWARE\\Zed).Property -contains 'N'
    """
    assert console.lines(script) == [
        "6 a+b 1+255 4294967295",
        "Microsoft.PowerShell.Core\\Registry::HKEY_LOCAL_MACHINE\\SOFTWARE\\Zed",
        "-1 MultiString 4 x",
        "Sub",
        "False",
    ]
    kept = console.double.registry["hkey_local_machine\\software\\zed"]
    assert kept == {"M": ["a", "b"], "B": "01FF", "U": -1}
    console.lines("Remove-Item HKLM:\\SOFTWARE\\Zed -Recurse")
    assert "hkey_local_machine\\software\\zed" not in console.double.registry
    assert console.lines("Test-Path HKLM:\\SOFTWARE\\Zed") == ["False"]


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("Get-Item HKLM:\\NOPE", "PathNotFound,Microsoft.PowerShell.Commands.GetItemCommand"),
        (
            "Get-ItemProperty HKLM:\\SOFTWARE -Name none",
            "System.Management.Automation.PSArgumentException,Microsoft.PowerShell.Commands.GetItemPropertyCommand",
        ),
        ("New-Item HKLM:\\SOFTWARE\\No\\Way", "System.ArgumentException,Microsoft.PowerShell.Commands.NewItemCommand"),
        ("New-Item HKLM:\\SOFTWARE\\Policies", "System.IO.IOException,Microsoft.PowerShell.Commands.NewItemCommand"),
        (
            "New-ItemProperty HKLM:\\SOFTWARE -Name a -Value 1 -PropertyType Word",
            "TypeParameterBindingInvalid,Microsoft.PowerShell.Commands.NewItemPropertyCommand",
        ),
        (
            "Set-ItemProperty HKLM:\\SOFTWARE -Name a -Value text -Type DWord",
            "System.Management.Automation.PSInvalidCastException,Microsoft.PowerShell.Commands.SetItemPropertyCommand",
        ),
    ],
)
def test_registry_refuses_with_one_error_and_changes_nothing(console: Console, script: str, error: str) -> None:
    before = console.double.registry
    assert console.errors(script) == [error]
    assert console.double.registry == before
    assert console.lines("Test-Path HKLM:\\SOFTWARE\\No") == ["False"]


def test_parallel_processes_do_not_lose_each_other_s_changes(windows: Double) -> None:
    """PowerShell's side and Python's side of the state, and the registry, changed at the same time."""

    def work(number: int) -> int:
        if number % 2:
            return windows.ask(f"icacls C:\\Windows\\Temp /grant *S-1-5-21-1-2-3-{number}:R /q").code
        script = f"New-LocalUser -Name u{number} -NoPassword | Out-Null; New-Item HKLM:\\SOFTWARE\\P{number} -Force | Out-Null"
        return windows.ps(script).code

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(work, range(8))) == {0}
    assert {f"u{n}" for n in range(0, 8, 2)} <= {user["Name"] for user in windows.state["users"]}
    sids = [user["SID"] for user in windows.state["users"]]
    assert len(set(sids)) == len(sids)
    granted = {entry["sid"] for entry in windows.state["acls"]["c:\\windows\\temp"]["entries"]}
    assert {f"S-1-5-21-1-2-3-{n}" for n in range(1, 8, 2)} <= granted
    keys = json.loads((windows.home / "registry.json").read_text())
    assert {f"HKEY_LOCAL_MACHINE\\SOFTWARE\\P{n}" for n in range(0, 8, 2)} <= set(keys)


@pytest.mark.parametrize("language", ["fr", "en"])
def test_names_are_those_of_the_language(windows: Double, language: str) -> None:
    windows.control("language", language)
    script = """
    (Get-Culture).Name; (Get-LocalGroup -SID S-1-5-32-544).Name
    (Get-LocalUser operator).ObjectClass; (Get-NetFirewallProfile Public).Name
    """
    expected = {
        "fr": ["fr-FR", "Administrateurs", "Utilisateur", "Public"],
        "en": ["en-US", "Administrators", "User", "Public"],
    }
    assert windows.ps(script).lines == expected[language]
