"""The Windows cmdlets: genuine parameters, state that survives processes, no silent success."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import shared_path
from tests.windows_double.conftest import CODE, Double

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


def _ids(double: Double, lines: list[str]) -> list[str]:
    script = "$ErrorActionPreference='Stop'\n" + "\n".join(
        f"try {{ & ([scriptblock]::Create('{line.replace(chr(39), chr(39) * 2)}')); 'no error' }} catch {{ $_.FullyQualifiedErrorId }}"
        for line in lines
    )
    return double.ps(script).lines


def test_every_generated_function_can_be_called(windows: Double) -> None:
    """The engine builds a function's parameters at its first use: a contradiction in the table would show there only."""
    script = """
    foreach ($file in Get-ChildItem "$env:WINDOWS_DOUBLE_CODE/modules/*/*.psd1") {
        foreach ($command in (Import-Module $file.FullName -PassThru -DisableNameChecking).ExportedFunctions.Values) {
            try { $count++; if ($null -eq $command.ParameterSets) { $command.Name } } catch { "$($command.Name): $_" }
        }
    }
    "$count functions"
    """
    lines = windows.ps(script).lines
    assert len(lines) == 1, lines
    assert int(lines[0].split()[0]) > 800


def test_wrong_parameters_fail_with_the_genuine_ids(either: Double) -> None:
    found = _ids(either, [line for line, _ in WRONG])
    assert found == [want for _, want in WRONG]


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


def test_missing_things_fail_with_the_genuine_ids_and_unknown_ones_never_succeed(windows: Double) -> None:
    found = [id_.split(",")[0] for id_ in _ids(windows, [line for line, _ in MISSING])]
    assert found == [want for _, want in MISSING]


def _json(double: Double, script: str) -> object:
    answer = double.ps(script)
    assert answer.err == b"" or b'S="Error"' not in answer.err, answer.err.decode("cp850")
    return json.loads(answer.text)


def test_services_change_and_are_seen_by_the_next_process(either: Double) -> None:
    either.ps("Set-Service Spooler -StartupType Disabled; Stop-Service Spooler -Force; 'sshd' | Restart-Service")
    shown = _json(either, "Get-Service spooler | Select-Object Name,Status,StartType | ConvertTo-Json -Compress")
    assert shown == {"Name": "Spooler", "Status": 1, "StartType": 4}
    assert either.state["services"]["Spooler"] == {
        "DisplayName": "Print Spooler",
        "Status": "Stopped",
        "StartType": "Disabled",
    }
    assert _ids(either, ["Start-Service Spooler"])[0].startswith("CouldNotStartService")


def test_firewall_profiles_show_both_stores(either: Double) -> None:
    script = (
        "$null, 'ActiveStore' | ForEach-Object { (Get-NetFirewallProfile Public -PolicyStore $_).DefaultInboundAction }"
    )
    assert either.ps(script).lines == ["NotConfigured", "Block"]
    either.ps(
        "Set-NetFirewallProfile -All -Enabled True -DefaultInboundAction Block -LogBlocked True -LogMaxSizeKilobytes 16384"
    )
    shown = _json(
        either,
        "Get-NetFirewallProfile | Select-Object Name,Enabled,DefaultInboundAction,LogBlocked,LogMaxSizeKilobytes |"
        " ConvertTo-Json -Compress",
    )
    assert shown == [
        {"Name": name, "Enabled": 1, "DefaultInboundAction": 4, "LogBlocked": 1, "LogMaxSizeKilobytes": 16384}
        for name in ("Domain", "Private", "Public")
    ]


def test_firewall_rules_round_trip(either: Double) -> None:
    either.ps(
        "New-NetFirewallRule -Name a -DisplayName a -Group g -Direction Inbound -Action Block -Profile Domain,Private"
        " -Protocol TCP -LocalPort 11434"
    )
    either.ps("Get-NetFirewallRule -Name a | Set-NetFirewallRule -RemoteAddress 10.0.0.0/8,LocalSubnet")
    rule = either.state["firewall"]["rules"]["a"]
    assert (rule["Action"], rule["LocalPort"], rule["RemoteAddress"]) == (
        "Block",
        ["11434"],
        ["10.0.0.0/8", "LocalSubnet"],
    )
    assert _ids(either, ["New-NetFirewallRule -Name a -DisplayName a"]) == [
        "Windows System Error 183,New-NetFirewallRule"
    ]
    script = "Get-NetFirewallRule a | Get-NetFirewallPortFilter | Select-Object Protocol,LocalPort | ConvertTo-Json -Compress"
    assert _json(either, script) == {"Protocol": "TCP", "LocalPort": "11434"}
    either.ps("Remove-NetFirewallRule -Name a")
    assert "a" not in either.state["firewall"]["rules"]


def test_hyper_v_firewall_of_wsl(windows: Double) -> None:
    vm = "{40E0AC32-46A5-438A-A0B2-2B479E8F2E90}"
    windows.ps(f"Set-NetFirewallHyperVVMSetting -Name '{vm}' -Enabled True -DefaultInboundAction Block")
    assert windows.state["firewall"]["hyperv"][vm]["DefaultInboundAction"] == "Block"
    assert _ids(windows, ["Get-NetFirewallHyperVVMSetting -Name '{00000000-0000-0000-0000-000000000000}'"])[
        0
    ].startswith("CmdletizationQuery_NotFound")


def test_local_users_and_groups(either: Double) -> None:
    script = """
    $p = ConvertTo-SecureString ('Aa1!' + 'x' * 20) -AsPlainText -Force
    New-LocalUser -Name svc -Password $p -AccountNeverExpires -PasswordNeverExpires -UserMayNotChangePassword -Description 'd' | Out-Null
    Add-LocalGroupMember -SID S-1-5-32-545 -Member svc
    Get-LocalUser svc | Disable-LocalUser
    """
    assert b'S="Error"' not in either.ps(script).err
    user = next(user for user in either.state["users"] if user["Name"] == "svc")
    assert (user["Enabled"], user["PasswordRequired"], user["UserMayChangePassword"]) == (False, True, False)
    assert "Aa1!" not in json.dumps(either.state)
    assert (
        f"{either.ps('$env:COMPUTERNAME').text}\\svc"
        in either.ps("Get-LocalGroupMember -SID S-1-5-32-545 | ForEach-Object Name").lines
    )
    assert _ids(either, ["New-LocalUser svc -NoPassword"]) == ["UserExists,New-LocalUser"]
    assert _ids(either, ["Add-LocalGroupMember -SID S-1-5-32-545 -Member svc"])[0].startswith("MemberExists")


def test_scheduled_tasks_are_registered_and_really_run(windows: Double) -> None:
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
        result = (Get-ScheduledTaskInfo -TaskName llm).LastTaskResult } | ConvertTo-Json -Compress
    """
    assert _json(windows, script) == {"name": "llm", "state": 3, "logon": 2, "result": 0}
    assert windows.path("C:\\ran.txt").read_bytes() == b"ran\r\n"


def test_bitlocker_keeps_one_recovery_password_until_it_encrypts(windows: Double) -> None:
    windows.ps(
        "Add-BitLockerKeyProtector -MountPoint C: -RecoveryPasswordProtector -WarningAction SilentlyContinue | Out-Null"
    )
    windows.ps(
        "Enable-BitLocker -MountPoint C: -EncryptionMethod XtsAes256 -UsedSpaceOnly -TpmProtector -SkipHardwareTest | Out-Null"
    )
    script = """
    $v = Get-BitLockerVolume C:
    "$($v.VolumeStatus) $($v.ProtectionStatus) $([int]$v.EncryptionMethod) $($v.KeyProtector.KeyProtectorType -join ',')"
    """
    assert windows.ps(script).text == "FullyEncrypted On 7 RecoveryPassword,Tpm"
    groups = windows.state["bitlocker"]["C:"]["KeyProtector"][0]["RecoveryPassword"].split("-")
    assert len(groups) == 8
    assert all(len(group) == 6 and int(group) % 11 == 0 and int(group) <= 720885 for group in groups)


def test_machine_facts(either: Double) -> None:
    script = """
    [ordered]@{
      sku = (Get-CimInstance Win32_OperatingSystem).OperatingSystemSKU
      domain = (Get-CimInstance Win32_ComputerSystem).PartOfDomain
      spec = (Get-CimInstance -Namespace root/cimv2/Security/MicrosoftTpm -ClassName Win32_Tpm).SpecVersion
      sshd = (Get-CimInstance Win32_Service -Filter "Name='sshd'").State
      tpm = (Get-Tpm).TpmReady; boot = Confirm-SecureBootUEFI; av = (Get-MpComputerStatus).AMRunningMode
      vmp = [int](Get-WindowsOptionalFeature -Online -FeatureName VirtualMachinePlatform).State
      ssh = [string](Get-WindowsCapability -Online -Name OpenSSH.Server*).State
    } | ConvertTo-Json -Compress
    """
    assert _json(either, script) == {
        "sku": 48, "domain": False, "spec": "2.0, 0, 1.38", "sshd": "Running", "tpm": True, "boot": True, "av": "Normal",
        "vmp": 2, "ssh": "Installed",
    }  # fmt: skip


def test_a_feature_is_pending_until_the_reboot(windows: Double) -> None:
    script = "(Enable-WindowsOptionalFeature -Online -FeatureName SMB1Protocol -NoRestart).RestartNeeded"
    assert windows.ps(script).text == "True"
    assert windows.state["features"]["SMB1Protocol"]["State"] == "EnablePending"
    windows.control("reboot")
    assert windows.state["features"]["SMB1Protocol"]["State"] == "Enabled"


def test_whatif_changes_nothing(windows: Double) -> None:
    before = windows.state["services"]
    windows.ps(
        "Stop-Service Spooler -WhatIf; Set-Service Spooler -StartupType Disabled -WhatIf; Disable-LocalUser operator -WhatIf"
    )
    assert windows.state["services"] == before


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
