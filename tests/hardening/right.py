"""A right PC as the raw answer of the look, made from the table; and what a PC keeps of changes, said without the product's judge."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from citadelle.hardening.table import Control
from tests.hardening.states import TABLE

HEAD = "Machine Name,Policy Target,Subcategory,Subcategory GUID,Inclusion Setting,Exclusion Setting,Setting Value"
PROFILE = {"Enabled": 1, "DefaultInboundAction": 4, "DefaultOutboundAction": 2, "AllowInboundRules": 1, "AllowLocalFirewallRules": 1,
           "NotifyOnListen": 0, "LogBlocked": 1, "LogMaxSizeKilobytes": 16384}  # fmt: skip
RULE = {"Enabled": 1, "Direction": 1, "Protocol": "TCP", "Profile": 0}
ASR = [one.judge.where["Id"]["equals"] for one in TABLE.controls if one.id.startswith("WIN-ASR")]
# As `sshd -T` prints it.
SSHD = [
    "allowusers operator",
    *(
        f"{one.judge.target.lower()} {one.apply}"
        for one in TABLE.controls
        if one.judge.kind == "directive" and one.apply
    ),
]
MACHINE = "S-1-5-21-1-2-3"
# What a look says of a PC on which everything is right; services, registry and policies come from the table.
SECTIONS: dict[str, Any] = {
    "version": {"Build": 26100, "Revision": 4061, "EditionID": "Enterprise", "DisplayVersion": "24H2"},
    "session": {"Groups": "S-1-1-0 S-1-5-32-544 S-1-16-12288", "UICulture": "fr-FR"},
    "computer": {"TotalPhysicalMemory": 17179869184, "PartOfDomain": False, "PartOfEntra": True, "Manufacturer": "A", "Model": "B"},
    "disks": [{"DeviceID": "C:", "Size": 500_000_000_000, "FreeSpace": 200_000_000_000}],
    "tpm": {"TpmPresent": True, "TpmReady": True, "LockedOut": False, "RestartPending": False, "SpecVersion": "2.0, 0, 1.38"},
    "secure_boot": True,
    "device_guard": {"VirtualizationBasedSecurityStatus": 2, "SecurityServicesRunning": [1, 2]},
    "gpus": [], "npus": [],
    "hyperv_rules": [{"Name": "citadelle", "LocalPorts": ["11434"], "Enabled": 1, "Direction": 1, "Action": 4, "Protocol": "TCP",
                      "RemoteAddresses": ["Any"], "LocalAddresses": ["Any"]}],
    "port_proxies": [],
    "bitlocker": [{"MountPoint": "C:", "VolumeType": 0, "VolumeStatus": 1, "ProtectionStatus": 1, "LockStatus": 0,
                   "EncryptionMethod": 7, "EncryptionPercentage": 100, "AutoUnlockEnabled": None,
                   "KeyProtector": [{"KeyProtectorType": 1}, {"KeyProtectorType": 3}]}],
    "firewall_profiles": [{"Name": name, **PROFILE} for name in ("Domain", "Private", "Public")],
    "firewall_rules": [
        {"Name": "OpenSSH-Server-In-TCP", **RULE, "Action": 2, "LocalPort": ["22"], "RemoteAddress": ["192.0.2.0/24"]},
        {"Name": "citadelle-block-engine", **RULE, "Action": 4, "LocalPort": ["11434"], "RemoteAddress": ["Any"],
         "LocalAddress": ["Any"]},
    ],
    "ssh_openings": [{"Name": "{5A7E}", "LocalPort": ["1-1023"], "RemoteAddress": ["192.0.2.7"]}],
    "firewall_products": [{"displayName": "Other", "productState": 0x40000}],
    "hyperv_firewall": [{"Name": "{40E0AC32-46A5-438A-A0B2-2B479E8F2E90}", "Enabled": 1, "DefaultInboundAction": 4}],
    "listeners": [{"LocalAddress": "0.0.0.0", "LocalPort": 22}, {"LocalAddress": "127.0.0.1", "LocalPort": 11434}],
    "defender": {"AMRunningMode": "Normal", "AntivirusSignatureAge": 0, "RealTimeProtectionEnabled": True, "BehaviorMonitorEnabled": True,
                 "IoavProtectionEnabled": True, "IsTamperProtected": True},
    "defender_preferences": {"PUAProtection": 1, "EnableNetworkProtection": 1, "MAPSReporting": 2, "Exclusions": [],
                             "Rules": [{"Id": name, "Action": 1} for name in ASR]},
    "antivirus": [{"displayName": "Windows Defender", "productState": 397568}],
    "accounts": [{"SID": f"{MACHINE}-500", "Enabled": False, "PasswordRequired": True},
                 {"SID": f"{MACHINE}-501", "Enabled": False, "PasswordRequired": False},
                 {"SID": f"{MACHINE}-1001", "Enabled": True, "PasswordRequired": True}],
    "logon": {"AutoAdminLogon": "0", "PasswordStored": False},
    "distributions": [{"DistributionName": "citadelle", "Flags": 15}],
    "laps": {"BackupDirectory": 1},
    "firewall_policy": [],
    "rollback": {},
    "sshd": {"Effective": SSHD, "Text": ""},
    "ssh_keys": {"Sddl": "O:BAG:SYD:P(A;;FA;;;SY)(A;;FA;;;BA)", "Text": f"verify-required sk-ssh-ed25519@openssh.com {'A' * 68} operator"},
    "restart": {"Servicing": False, "Update": False, "FileRenames": False},
    "drivers": ["MsSecFlt", "WdFilter"],
    "mfa": {"AzureAdJoined": "NO", "NgcSet": "NO", "AzureAdPrt": "", "Hello": [], "ForceOption": 1},
    "updates": {"Searched": True, "DaysSinceSearch": 0, "DaysSinceSuccess": 3, "Error": "", "Pending": []},
    "events": {"Result": "0x00000000", "Minutes": 2},
}  # fmt: skip
# Settings of Defender -> what they make of what is read of it.
DEFENDER = {
    "DisableRealtimeMonitoring": ("defender", "RealTimeProtectionEnabled"),
    "DisableBehaviorMonitoring": ("defender", "BehaviorMonitorEnabled"),
    "DisableIOAVProtection": ("defender", "IoavProtectionEnabled"),
    "PUAProtection": ("defender_preferences", "PUAProtection"),
    "EnableNetworkProtection": ("defender_preferences", "EnableNetworkProtection"),
}
# What is asked of a PC for which a PIN was chosen; of others the opposite is.
OF_A_PIN = ("WIN-BIT-08", "WIN-BIT-09")
OTHERS = {"Sense": ("Auto", "Running")}
SAMPLES = {"WIN-WSL-13": "2.6.1.0"}


def wanted_value(control: Control) -> Any:
    """A value that a control is content with."""
    for name, argument in (control.wanted.get("any") or [control.wanted])[0].items():
        match name:
            case "one_of":
                return argument[0]
            case "contains":
                return [argument]
            case "not_equals":
                return control.judge.default
            case "empty":
                return []
            case "like":
                return SAMPLES[control.id]
            case _:
                return argument
    raise AssertionError(control.id)


class Pc:
    """What stands on a PC: registry, services (start mode, state), audit policy, accounts' policy, rights; and the sections of above."""

    def __init__(self) -> None:
        self.sections = deepcopy(SECTIONS)
        self.errors: dict[str, Any] = {}
        by_kind: dict[str, dict[str, Any]] = {kind: {} for kind in ("registry", "service", "audit", "account", "right")}
        for control in TABLE.controls:
            if not control.waived and control.judge.kind in by_kind and control.id not in OF_A_PIN:
                by_kind[control.judge.kind][control.judge.target] = wanted_value(control)
        self.registry = dict.fromkeys(TABLE.registry_values) | by_kind["registry"]
        self.services = OTHERS | {
            name: (mode, "Stopped" if mode == "Disabled" else "Running") for name, mode in by_kind["service"].items()
        }
        self.audit, self.account, self.rights = by_kind["audit"], by_kind["account"], by_kind["right"]

    def raw(self) -> dict[str, Any]:
        """The look's answer. Without a lockout threshold Windows writes none of the two times of a lockout."""
        silent = () if self.account.get("LockoutBadCount") else ("LockoutDuration", "ResetLockoutCount")
        policy = ["[Unicode]", "Unicode=yes", "[System Access]"]
        policy += [
            f"{name} = {value}" for name, value in self.account.items() if name not in silent and value is not None
        ]
        policy += [
            "[Privilege Rights]",
            *(f"{name} = " + ",".join(f"*{one}" for one in who) for name, who in self.rights.items() if who),
        ]
        audit = [f"PC,System,x,{name},y,,{value}" for name, value in self.audit.items() if value is not None]
        services = [
            {"Name": name, "StartMode": mode, "State": state}
            for name, (mode, state) in self.services.items()
            if mode != "absent"
        ]
        sections = self.sections | {
            "security_policy": "\r\n".join(policy),
            "audit_policy": "\r\n".join([HEAD, *audit]),
            "services": services,
        }
        return {"format": 1, "registry": self.registry, "errors": self.errors,
                "sections": {name: value for name, value in sections.items() if name not in self.errors}}  # fmt: skip

    def put(self, control: Control, value: Any) -> None:
        """Let one value be so, whatever anybody wants."""
        target = control.judge.target
        match control.judge.kind:
            case "registry":
                self.registry[target] = value
            case "service":
                self.services[target] = value
            case "audit":
                self.audit[target] = value
            case "account":
                self.account[target] = value
            case "state" if control.judge.where:
                self._rule(control.judge.where["Id"]["equals"], value)
            case "state":
                section, name = target.split(".")
                self.sections[section][name] = value

    def value(self, control: Control) -> Any:
        """What stands there, None where nothing does."""
        kind, target = control.judge.kind, control.judge.target
        if kind != "state":
            places = {"registry": self.registry, "service": self.services, "audit": self.audit, "account": self.account}
            return places[kind].get(target)
        section, name = target.split(".")
        found = self.sections[section][name]
        if not control.judge.where:
            return found
        return next((rule["Action"] for rule in found if rule["Id"] == control.judge.where["Id"]["equals"]), None)

    def _rule(self, name: str, action: Any) -> None:
        rules = [rule for rule in self.sections["defender_preferences"]["Rules"] if rule["Id"] != name]
        added = [] if action is None else [{"Id": name, "Action": action}]
        self.sections["defender_preferences"]["Rules"] = rules + added

    def keep(self, kind: str, target: str, value: Any) -> None:
        """Take a setting as Windows does."""
        match kind:
            case "registry":
                self.registry[target] = value
            case "service":
                self.services[target] = (value, "Stopped")
            case "audit":
                self.audit[target] = (self.audit[target] or 0) | value
            case "account":
                self.account[target] = value
            case "rule":
                self._rule(target, value)
            case "defender":
                section, name = DEFENDER[target]
                self.sections[section][name] = not value if target.startswith("Disable") else value


def is_right(control: Control, value: Any) -> bool:
    """Whether a value is as the table wants it: written a second time, for the few predicates of controls that are set."""
    value = control.judge.default if value is None else value
    wanted = control.wanted
    if wanted.get("equals") is True:
        return value is True
    if "every" in wanted:
        wanted = wanted["every"]["Action"]
    if "any" in wanted:
        return value == -1 or (isinstance(value, int) and value >= 15)
    if "one_of" in wanted:
        return value in wanted["one_of"] and not isinstance(value, bool)
    if not isinstance(value, int) or isinstance(value, bool):
        return False
    if "bits" in wanted:
        return not wanted["bits"] & ~value
    if "equals" in wanted:
        return bool(value == wanted["equals"])
    return bool(wanted.get("at_least", value) <= value <= wanted.get("at_most", value))
