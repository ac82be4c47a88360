"""One wrong value for each control of Windows that is only judged, written by hand: none comes from what the table wants."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Wrong:
    """`place`: `registry KEY!NAME`, `service NAME`, `right NAME` or `SECTION`, `SECTION.FIELD` as the look answers it.

    `told`: what the verdict says that it found, or why it is unknown;
    `also`: what else changes by the same value; `right`: what stands there before; `unlock`: how the PC's start was chosen.
    """

    control: str
    place: str
    value: Any
    told: str
    status: str = "fail"
    also: dict[str, str] = field(default_factory=dict)
    right: Any = None
    unlock: str = "tpm"


LM, POLICIES = r"registry HKLM:\SOFTWARE", r"registry HKLM:\SOFTWARE\Policies\Microsoft"
SYSTEM, CONTROL = (
    LM + r"\Microsoft\Windows\CurrentVersion\Policies\System",
    r"registry HKLM:\SYSTEM\CurrentControlSet\Control",
)
SERVICES = r"registry HKLM:\SYSTEM\CurrentControlSet\Services"
ON, OFF, DISABLED, RUNS = ("Auto", "Running"), ("Manual", "Stopped"), ("Disabled", "Stopped"), ("Disabled", "Running")
VOLUME = {"MountPoint": "C:", "VolumeType": 0, "VolumeStatus": 1, "ProtectionStatus": 1, "LockStatus": 0, "EncryptionMethod": 7,
          "KeyProtector": [{"KeyProtectorType": 1}, {"KeyProtectorType": 3}]}  # fmt: skip
DATA = {
    "MountPoint": "D:",
    "VolumeType": 1,
    "VolumeStatus": 0,
    "ProtectionStatus": 0,
    "LockStatus": 0,
    "KeyProtector": [],
}
PROFILE = {"Name": "Public", "Enabled": 1, "DefaultInboundAction": 4, "NotifyOnListen": 0, "LogBlocked": 1,
           "LogMaxSizeKilobytes": 16384}  # fmt: skip
ALLOWED = {"Name": "open", "LocalPorts": ["11000-12000"], "Enabled": 1, "Direction": 1, "Action": 2, "Protocol": "TCP"}
BLOCKED = {"Name": "citadelle", "LocalPorts": ["11434"], "Enabled": 1, "Direction": 1, "Action": 4, "Protocol": "TCP",
           "RemoteAddresses": ["Any"], "LocalAddresses": ["Any"]}  # fmt: skip
GUESTS, LOCAL, ADMINISTRATORS, SOMEBODY = "S-1-5-32-546", "S-1-5-113", "S-1-5-32-544", "S-1-5-21-1-2-3-1002"


def account(number: int, enabled: bool, password: bool) -> dict[str, Any]:
    """An account of the PC as the look answers it."""
    return {"SID": f"S-1-5-21-1-2-3-{number}", "Enabled": enabled, "PasswordRequired": password}


WRONG = [
    Wrong("WIN-PLT-01", "version.EditionID", "CoreSingleLanguage", "CoreSingleLanguage", also=dict.fromkeys(
        ("WIN-PLT-08", "WIN-BIT-01", "WIN-BIT-02", "WIN-FWL-13", "WIN-DEF-01"), "not applicable")),
    Wrong("WIN-PLT-02", "version.Build", 22000, "22000"),
    Wrong("WIN-PLT-03", "tpm.TpmReady", False, "no"),
    Wrong("WIN-PLT-04", "tpm.SpecVersion", "1.2, 2, 3", "1.2"),
    Wrong("WIN-PLT-05", "secure_boot", False, "no"),
    Wrong("WIN-PLT-06", "device_guard.VirtualizationBasedSecurityStatus", 1, "1"),
    Wrong("WIN-PLT-07", "device_guard.SecurityServicesRunning", [1], "1"),
    Wrong("WIN-PLT-08", "device_guard.SecurityServicesRunning", [2], "2"),
    Wrong("WIN-PLT-09", "computer.TotalPhysicalMemory", 8_589_934_592, "8589934592"),
    Wrong("WIN-PLT-10", "disks", [{"DeviceID": "E:", "FreeSpace": 19_000_000_000}], "DeviceID=E: FreeSpace=19000000000"),
    Wrong("WIN-PLT-11", "session.Groups", "S-1-5-32-544 S-1-16-8192", "no"),
    Wrong("WIN-PLT-12", "tpm.LockedOut", True, "yes"),
    Wrong("WIN-BIT-01", "bitlocker", [VOLUME | {"ProtectionStatus": 0}], "volume=C: verdict=suspended"),
    Wrong("WIN-BIT-02", "bitlocker", [VOLUME, DATA], "volume=D: verdict=clear"),
    Wrong("WIN-BIT-05", POLICIES + r"\FVE!UseTPMPIN", 2, "2", "waived", right=1),
    Wrong("WIN-BIT-06", POLICIES + r"\FVE!UseTPM", 0, "0"),
    Wrong("WIN-BIT-08", POLICIES + r"\FVE!UseTPMPIN", 2, "2", right=1, unlock="tpm_pin"),
    Wrong("WIN-BIT-09", POLICIES + r"\FVE!UseTPM", 2, "2", right=0, unlock="tpm_pin"),
    Wrong("WIN-FWL-06", "firewall_profiles", [PROFILE | {"AllowLocalFirewallRules": 0}], "Name=Public AllowLocalFirewallRules=0"),
    Wrong("WIN-FWL-10", "listeners", [{"LocalAddress": "0.0.0.0", "LocalPort": 11434}], "LocalAddress=0.0.0.0"),
    Wrong("WIN-FWL-11", "listeners", [{"LocalAddress": "127.0.0.1", "LocalPort": 2375}], "LocalAddress=127.0.0.1 LocalPort=2375"),
    Wrong("WIN-FWL-13", "firewall_products", [{"displayName": "Shield", "productState": 0x41000}], "Name=Shield active=yes current=yes"),
    Wrong("WIN-HVF-03", "hyperv_rules", [BLOCKED, ALLOWED], "Name=open LocalPorts=11000-12000"),
    Wrong("WIN-HVF-04", SERVICES + r"\MpsSvc\Parameters!HyperVFirewallDisable", 1, "1"),
    Wrong("WIN-WSL-13", LM + r"\Microsoft\Windows\CurrentVersion\Lxss\MSI!Version", "2.5.7.0", "2.5.7.0"),
    Wrong("WIN-WSL-14", "distributions", [{"DistributionName": "old", "Flags": 7}], "DistributionName=old Flags=7"),
    Wrong("WIN-WSL-15", "right SeServiceLogonRight", ["S-1-5-20"], "S-1-5-20"),
    Wrong("WIN-WSL-16", SERVICES + r"\Tcpip6\Parameters!DisabledComponents", 255, "255"),
    Wrong("WIN-ACC-02", "accounts", [account(500, True, True)], "SID=S-1-5-21-1-2-3-500 Enabled=yes"),
    Wrong("WIN-ACC-03", "accounts", [account(500, False, True), account(1001, True, False)], "SID=S-1-5-21-1-2-3-1001 PasswordRequired=no"),
    Wrong("WIN-ACC-05", SYSTEM + "!NoConnectedUser", 1, "1"),
    Wrong("WIN-ACC-06", "logon.AutoAdminLogon", "1", "1"),
    Wrong("WIN-ACC-07", "logon.PasswordStored", True, "yes"),
    Wrong("WIN-ACC-08", "right SeDenyNetworkLogonRight", ["S-1-5-7"], "S-1-5-7"),
    Wrong("WIN-ACC-09", "right SeDenyNetworkLogonRight", [GUESTS], GUESTS, "waived", right=[GUESTS, LOCAL]),
    Wrong("WIN-ACC-10", "right SeTcbPrivilege", [ADMINISTRATORS], ADMINISTRATORS),
    Wrong("WIN-ACC-11", "right SeCreateTokenPrivilege", [SOMEBODY], SOMEBODY),
    Wrong("WIN-ACC-12", "right SeTrustedCredManAccessPrivilege", ["S-1-5-18"], "S-1-5-18"),
    Wrong("WIN-ACC-13", "right SeDebugPrivilege", [ADMINISTRATORS, SOMEBODY], f"{ADMINISTRATORS}, {SOMEBODY}"),
    Wrong("WIN-ACC-14", "right SeBatchLogonRight", [ADMINISTRATORS, SOMEBODY], f"{ADMINISTRATORS}, {SOMEBODY}", "waived",
          right=[ADMINISTRATORS]),
    Wrong("WIN-ACC-15", "right SeLoadDriverPrivilege", [ADMINISTRATORS, "S-1-5-32-550"], "S-1-5-32-544, S-1-5-32-550"),
    Wrong("WIN-UAC-09", SYSTEM + "!LocalAccountTokenFilterPolicy", 1, "1"),
    Wrong("WIN-LSA-07", CONTROL + r"\Lsa!DisableDomainCreds", 0, "0", "waived", right=1),
    Wrong("WIN-SMB-02", SERVICES + r"\MrxSmb10!Start", 3, "3"),
    Wrong("WIN-RDP-01", CONTROL + r"\Terminal Server!fDenyTSConnections", 0, "0",
          also=dict.fromkeys(("WIN-SVC-37", "WIN-SVC-38", "WIN-SVC-39"), "not applicable")),
    Wrong("WIN-LOG-07", SYSTEM + r"\Audit!ProcessCreationIncludeCmdLine_Enabled", 0, "0"),
    Wrong("WIN-SVC-34", "service bthserv", ON, "Auto", "waived", right=DISABLED),
    Wrong("WIN-SVC-35", "service MsiSCSI", OFF, "Manual"),
    Wrong("WIN-SVC-40", "service sshd", ON, "Auto", "waived", {"WIN-SVC-46": "pass"}, DISABLED),
    Wrong("WIN-SVC-41", "service LxssManager", ON, "Auto", "waived", right=DISABLED),
    Wrong("WIN-SVC-42", "service MpsSvc", DISABLED, "Disabled"),
    Wrong("WIN-SVC-43", "service BFE", DISABLED, "Disabled"),
    Wrong("WIN-SVC-44", "service CryptSvc", ("absent", ""), "absent"),
    Wrong("WIN-SVC-45", "service wuauserv", DISABLED, "Disabled"),
    Wrong("WIN-SVC-46", "service sshd", DISABLED, "Disabled", also={"WIN-SVC-40": "pass"}),
    Wrong("WIN-SVC-47", "service WSLService", ("absent", ""), "absent"),
    Wrong("WIN-SVC-48", "service vmcompute", DISABLED, "Disabled"),
    Wrong("WIN-SVC-49", "service SharedAccess", RUNS, "Disabled, but it runs"),
    Wrong("WIN-SVC-50", "service Schedule", DISABLED, "Disabled"),
    Wrong("WIN-DEF-01", "antivirus", [{"displayName": "Shield", "productState": 0x61110}], "Name=Shield current=no"),
    Wrong("WIN-DEF-05", "defender.AntivirusSignatureAge", 8, "8"),
    Wrong("WIN-DEF-06", "defender.IsTamperProtected", False, "no"),
    Wrong("WIN-DEF-09", "defender_preferences.Exclusions", [r"C:\Temp"], r"C:\Temp"),
    Wrong("WIN-DEF-10", POLICIES + r"\Windows Defender!DisableAntiSpyware", 1, "1"),
    Wrong("WIN-DEF-11", POLICIES + r"\Windows Defender\Real-Time Protection!DisableRealtimeMonitoring", 1, "1"),
    Wrong("WIN-DEF-12", "service Sense", OFF, "nothing", also={"WIN-DEF-13": "not applicable"}),
    Wrong("WIN-DEF-13", "drivers", ["WdFilter"], "Name=Sense driver=no"),
    Wrong("WIN-UPD-02", "restart", {"Servicing": True, "Update": False, "FileRenames": False}, "Servicing=yes Update=no FileRenames=no"),
    Wrong("WIN-UPD-05", "laps.BackupDirectory", 0, "0"),
    Wrong("WIN-SSH-23", LM + r"\OpenSSH!DefaultShell", r"C:\Program Files\Git\bin\bash.exe", r"C:\Program Files\Git\bin\bash.exe"),
    Wrong("WIN-UPD-06", "updates.Pending", [{"Title": "KB5058411"}], "Title=KB5058411"),
    Wrong("WIN-UPD-07", "updates.DaysSinceSearch", 8, "8"),
    Wrong("WIN-UPD-08", "updates.DaysSinceSuccess", 46, "46"),
    Wrong("WIN-LOG-08", "events.Minutes", 31, "31"),
    Wrong("WIN-MFA-01", "mfa.ForceOption", 0, "nothing forces Hello or a smart card", "unknown"),
    Wrong("WIN-MFA-02", "ssh_keys.Text", "ssh-ed25519 " + "A" * 68, "no"),
]  # fmt: skip
