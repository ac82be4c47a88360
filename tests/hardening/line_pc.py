"""A PC's firewall, SSH server and volumes as generated, and what it keeps of a change of the line, said without the product's code."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.hardening.right import RULE, Pc
from tests.hardening.states import TABLE

NET, MASKED = "192.0.2.0/24", "192.0.2.0/255.255.255.0"
RIGHT = {one.judge.target: str(one.apply) for one in TABLE.controls if one.judge.kind == "directive" and one.apply}
# What OpenSSH takes where nothing is said, as far as that is wrong here.
DEFAULTS = {"PasswordAuthentication": "yes", "KbdInteractiveAuthentication": "yes", "AuthenticationMethods": "any", "MaxAuthTries": "6",
            "LoginGraceTime": "120", "AllowAgentForwarding": "yes", "AllowTcpForwarding": "yes", "LogLevel": "INFO",
            "ClientAliveInterval": "0", "MACs": "umac-64@openssh.com"}  # fmt: skip
OTHERS = {"PubkeyAuthentication": "no", "PermitEmptyPasswords": "yes", "GatewayPorts": "yes", "X11Forwarding": "yes",
          "PermitUserEnvironment": "yes", "StrictModes": "no", "Ciphers": "aes128-cbc",
          "KexAlgorithms": "diffie-hellman-group1-sha1"}  # fmt: skip
WRONG = DEFAULTS | OTHERS
SSH, ENGINE = "OpenSSH-Server-In-TCP", "citadelle-block-engine"
PROFILE = {"Enabled": [0, 1], "DefaultInboundAction": [2, 4], "LogBlocked": [0, 1], "LogMaxSizeKilobytes": [1024, 16384, 32767],
           "NotifyOnListen": [0, 1], "AllowLocalFirewallRules": [0, 1, 2, 2]}  # fmt: skip
MANAGED = ["Enabled", "LogBlocked", "LogMaxSizeKilobytes"]
PROXIES = ["0.0.0.0/11434 127.0.0.1/80", "0.0.0.0/80 ::1/11434", "0.0.0.0/80 ::1/80"]
ADDRESS = st.sampled_from(
    [NET, MASKED, "192.0.2.7", "192.0.2.1-192.0.2.9", "198.51.100.0/24", "Any", "LocalSubnet", "0.0.0.0/0"]
)
ADDRESSES = st.lists(ADDRESS, min_size=1, max_size=2)


def fields(values: dict[str, list[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """One of the values for each name."""
    return st.fixed_dictionaries({name: st.sampled_from(some) for name, some in values.items()})


def rule(name: str, port: str, end: str = "") -> st.SearchStrategy[list[dict[str, Any]]]:
    """None or one rule of that name. `end`: a letter more, in the names that WSL's firewall gives to lists."""
    given = {"Enabled": [1, 2], "Profile": [0, 2], "Protocol": ["TCP", "UDP"], "Action": [2, 4], "Direction": [1]}
    suffix = "es" if end else ""
    lists = {f"RemoteAddress{suffix}": ADDRESSES, f"LocalAddress{suffix}": ADDRESSES}
    more = {"Name": name, f"LocalPort{end}": [port]}
    made = st.tuples(fields(given), st.fixed_dictionaries(lists)).map(lambda two: two[0] | two[1] | more)
    return st.lists(made, max_size=1)


SOUND = {"VolumeStatus": 1, "ProtectionStatus": 1, "LockStatus": 0, "EncryptionMethod": 7, "AutoUnlockEnabled": True}
ODD = {"VolumeStatus": [None, 0, 2, 3, 4, 5, 6, 7], "ProtectionStatus": [0, 2], "LockStatus": [1], "EncryptionMethod": [None, 0, 3, 4, 6],
       "AutoUnlockEnabled": [None, False]}  # fmt: skip
VOLUMES = [{}, *({name: value} for name, some in ODD.items() for value in some)]
KINDS = [[1, 3], [4, 3], [1, 4, 3], [3, 2], [3], [1], [8], [5, 3], []]
LINE = st.fixed_dictionaries({}, optional={
    "profiles": st.tuples(*[fields(PROFILE)] * 3), "policies": st.lists(st.sampled_from(MANAGED), unique=True), SSH: rule(SSH, "22"),
    ENGINE: rule(ENGINE, "11434"), "wsl_rules": rule(ENGINE, "11434", "s"),
    "openings": st.lists(st.tuples(ADDRESSES, st.booleans()), max_size=3),
    "wsl": fields({"Enabled": [0, 1], "DefaultInboundAction": [2, 4]}), "proxies": st.lists(st.sampled_from(PROXIES), unique=True),
    "directives": st.dictionaries(st.sampled_from(sorted(RIGHT)), st.sampled_from(["gone", "wrong", "for some"]), max_size=5),
    "keys": st.sampled_from(["", f"ssh-ed25519 {'B' * 68} other"]), "open": st.booleans(), "armed": st.booleans(),
    "volumes": st.lists(st.tuples(st.sampled_from(VOLUMES), st.sampled_from(KINDS)), max_size=3),
    "unlock": st.sampled_from([None, "tpm", "tpm_pin"]),
})  # fmt: skip


class LinePc(Pc):
    """`text`: its sshd_config; `unlock`: how its start was chosen."""

    def __init__(self, given: dict[str, Any]) -> None:
        super().__init__()
        mine = self.sections
        for kept, other in zip(mine["firewall_profiles"], given.get("profiles", ()), strict=False):
            kept |= other
        mine["firewall_policy"] = [
            {"Profile": "Public", "Property": one, "Key": "HKLM:\\X!y"} for one in given.get("policies", ())
        ]
        rules = {one["Name"]: [one] for one in mine["firewall_rules"]} | {
            name: given[name] for name in (SSH, ENGINE) if name in given
        }
        mine["firewall_rules"] = [one for some in rules.values() for one in some]
        mine["hyperv_rules"] = given.get("wsl_rules", mine["hyperv_rules"])
        mine["hyperv_firewall"][0] |= given.get("wsl", {})
        proxies = [one.split() for one in given.get("proxies", ())]
        mine["port_proxies"] = [{"Kind": "v4tov6", "Listen": first, "Connect": last} for first, last in proxies]
        mine["ssh_openings"] = [
            {"Name": str(at), "RemoteAddress": addresses} | ({"managed": "Company"} if managed else {})
            for at, (addresses, managed) in enumerate(given.get("openings", ()))
        ]
        mine["ssh_keys"] |= {"Text": given["keys"]} if "keys" in given else {}
        mine["ssh_keys"] |= {"Sddl": "O:BAD:(A;;FA;;;BU)"} if given.get("open") else {}
        mine["rollback"] = {"Armed": True, "Begun": True, "Seconds": 9} if given.get("armed") else {}
        self.text, self.unlock = self._configuration(given.get("directives", {})), given.get("unlock")
        if "volumes" in given:
            mine["bitlocker"] = [
                SOUND | values | {"MountPoint": f"{letter}:", "VolumeType": int(letter != "C"),
                          "KeyProtector": [{"KeyProtectorType": kind} for kind in kinds]}
                for letter, (values, kinds) in zip("CDE", given["volumes"], strict=False)
            ]  # fmt: skip

    def _configuration(self, directives: dict[str, str]) -> str:
        lines = [f"AllowUsers operator@{NET}"]
        lines += [f"{name} {value}" for name, value in RIGHT.items() if directives.get(name, "for some") == "for some"]
        lines += [f"{name} {WRONG[name]}" for name, how in directives.items() if how == "wrong"]
        lines += [
            f"Match User nobody\r\n  {name} {WRONG[name]}" for name, how in directives.items() if how == "for some"
        ]
        return "".join(f"{line}\r\n" for line in lines)

    def raw(self) -> dict[str, Any]:
        """The look's answer: of what stands before the first `Match`, the first value of a directive counts."""
        effective: dict[str, str] = {}
        for line in self.text.split("Match ")[0].splitlines():
            name, _, value = line.strip().partition(" ")
            if name and not name.startswith("#"):
                effective.setdefault(name.lower(), value)
        defaults = {name.lower(): value for name, value in (RIGHT | DEFAULTS).items()}
        self.sections["sshd"] = {
            "Effective": [f"{name} {value}" for name, value in (defaults | effective).items()],
            "Text": self.text,
        }
        return super().raw() | {"choices": {"unlock": self.unlock}}

    def make(self, values: dict[str, Any]) -> None:
        """A change of the line, as Windows takes it."""
        mine = self.sections
        profiles = {one["Name"]: one for one in mine["firewall_profiles"]}
        for kind, items in (("profile", profiles), ("hyperv", {one["Name"]: one for one in mine["hyperv_firewall"]})):
            columns = [values.get(f"{kind}_{column}", ()) for column in ("names", "properties", "values")]
            for name, what, value in zip(*columns, strict=True):
                items[name][what] = value
        if "networks" in values:
            shown = [MASKED if one == NET else one for one in values["networks"]]
            self._replace(
                "firewall_rules", SSH, RULE | {"Action": 2, "LocalPort": values["ports"], "RemoteAddress": shown}
            )
        if "block_engine" in values:
            self._replace(
                "firewall_rules",
                ENGINE,
                RULE | {"Action": 4, "LocalPort": ["11434"], "RemoteAddress": ["Any"], "LocalAddress": ["Any"]},
            )
        if "block_engine_wsl" in values:
            made = RULE | {"Action": 4, "LocalPorts": ["11434"], "RemoteAddresses": ["Any"], "LocalAddresses": ["Any"]}
            self._replace("hyperv_rules", ENGINE, made)
        mine["ssh_openings"] = [one for one in mine["ssh_openings"] if one["Name"] not in values.get("openings", ())]
        gone = values.get("proxies", ())
        mine["port_proxies"] = [one for one in mine["port_proxies"] if " ".join(one.values()) not in gone]
        self.text = values.get("sshd", self.text)
        mine["ssh_keys"] |= {"Text": values["keys"]} if "keys" in values else {}
        mine["ssh_keys"] |= {"Sddl": "O:BAG:SYD:P(A;;FA;;;SY)(A;;FA;;;BA)"} if values.get("access") else {}

    def _replace(self, section: str, name: str, made: dict[str, Any]) -> None:
        self.sections[section] = [one for one in self.sections[section] if one["Name"] != name] + [
            {"Name": name, **made}
        ]


def is_compliant(volume: dict[str, Any], unlock: str | None) -> bool:
    """Whether a volume is as it must be: said once more, by the note's table alone."""
    kinds = {one["KeyProtectorType"] for one in volume["KeyProtector"]}
    opens = volume["AutoUnlockEnabled"] is True
    if volume["VolumeType"] == 0:
        opens = bool(kinds & {1, 4, 5, 6}) and (unlock != "tpm_pin" or (4 in kinds and 1 not in kinds))
    shut = (volume["ProtectionStatus"], volume["LockStatus"], volume["EncryptionMethod"]) == (1, 0, 7)
    return volume["VolumeStatus"] in (1, 6, 7) and shut and 3 in kinds and opens
