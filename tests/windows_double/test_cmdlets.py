"""What the Windows cmdlets do: state that survives processes, effects that the next call sees."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.windows_double.conftest import Console, Double

pytestmark = pytest.mark.lab


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


def test_home_edition(console: Console) -> None:
    console.double.control("edition", "home")
    script = """
    (Get-ItemProperty 'HKLM:\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion').EditionID
    (Get-CimInstance Win32_OperatingSystem).OperatingSystemSKU
    (Get-ComputerInfo).WindowsEditionId
    """
    assert console.lines(script) == ["Core", "101", "Core"]
    assert console.double.state["computer"]["EditionID"] == "Core"
    assert console.errors("Get-BitLockerVolume C:") == ["DoubleNotImplemented,Get-BitLockerVolume"]
    console.double.control("edition", "pro")
    assert console.lines(script) == ["Professional", "48", "Professional"]


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


def test_parallel_processes_do_not_lose_each_other_s_changes(windows: Double) -> None:
    """PowerShell's side and Python's side of the state, and the registry, changed at the same time."""

    def work(number: int) -> int:
        if number % 2:
            return windows.ask(f"icacls C:\\Windows\\Temp /grant *S-1-5-21-1-2-3-{number}:R /q").code
        script = f"New-LocalUser -Name u{number} -NoPassword | Out-Null; New-Item HKLM:\\SOFTWARE\\P{number} -Force | Out-Null"
        return windows.ps(script).code

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(work, range(4))) == {0}
    assert {f"u{n}" for n in range(0, 4, 2)} <= {user["Name"] for user in windows.state["users"]}
    sids = [user["SID"] for user in windows.state["users"]]
    assert len(set(sids)) == len(sids)
    granted = {entry["sid"] for entry in windows.state["acls"]["c:\\windows\\temp"]["entries"]}
    assert {f"S-1-5-21-1-2-3-{n}" for n in range(1, 4, 2)} <= granted
    keys = json.loads((windows.home / "registry.json").read_text())
    assert {f"HKEY_LOCAL_MACHINE\\SOFTWARE\\P{n}" for n in range(0, 4, 2)} <= set(keys)


def test_french_windows_has_french_names(windows: Double) -> None:
    windows.control("language", "fr")
    script = """
    (Get-Culture).Name; (Get-LocalGroup -SID S-1-5-32-544).Name
    (Get-LocalUser operator).ObjectClass; (Get-NetFirewallProfile Public).Name
    """
    assert windows.ps(script).lines == ["fr-FR", "Administrateurs", "Utilisateur", "Public"]
