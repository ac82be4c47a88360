"""What the simulated firewall lets in, as rules of the packet filter of a lab PC: so a wrong rule cuts a genuine line.

Only what comes in over the network of the lab is judged; answers, loopback and containers are not. As on Windows a block rule wins over
any allow rule, and also over a connection that is open already.
"""

import ipaddress
import os
from typing import Any

from . import home

TABLE = "windows_double"
POLICIES = "HKEY_LOCAL_MACHINE\\SOFTWARE\\Policies\\Microsoft\\WindowsFirewall"
POLICY_NAMES = {"Domain": "DomainProfile", "Private": "StandardProfile", "Public": "PublicProfile"}


def policy(profile: str) -> dict[str, Any]:
    """Values that a group policy gives for a profile."""
    wanted = f"{POLICIES}\\{POLICY_NAMES[profile]}".lower()
    found = next((values for key, values in home.load(home.REGISTRY).items() if key.lower() == wanted), {})
    return {name: value["value"] if isinstance(value, dict) else value for name, value in found.items()}


def _is_on(profile: dict[str, Any], policies: dict[str, Any]) -> bool:
    return (
        bool(policies["EnableFirewall"]) if "EnableFirewall" in policies else str(profile["Enabled"]) in ("True", "1")
    )


def _blocks(profile: dict[str, Any], policies: dict[str, Any]) -> bool:
    if "DefaultInboundAction" in policies:
        return bool(policies["DefaultInboundAction"])
    return profile["DefaultInboundAction"] != "Allow"


def _listed(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


def _sources(addresses: list[str]) -> list[str]:
    """Conditions on the source, one for each family that is meant; `` for any."""
    if "Any" in addresses:
        return [""]
    nets = [ipaddress.ip_network(one, strict=False) for one in addresses if one[0].isdigit() or ":" in one]
    families = {4: "ip", 6: "ip6"}
    return [
        f"{name} saddr {{ {', '.join(str(net) for net in nets if net.version == version)} }} "
        for version, name in families.items()
        if any(net.version == version for net in nets)
    ]


def _lines(rule: dict[str, Any], verdict: str) -> list[str]:
    protocol, ports = str(rule["Protocol"]).lower(), _listed(rule["LocalPort"])
    if protocol not in ("tcp", "udp") or any(port != "Any" and not port[0].isdigit() for port in ports):
        return []
    where = f"{protocol} dport {{ {', '.join(ports)} }} " if "Any" not in ports else f"meta l4proto {protocol} "
    return [f"{source}{where}{verdict}" for source in _sources(_listed(rule["RemoteAddress"]))]


def ruleset(firewall: dict[str, Any]) -> str:
    """The table for nft; without a chain while the firewall is off."""
    active = str(firewall.get("active", "Public"))
    profile, policies = firewall["profiles"][active], policy(active)
    head = f"table inet {TABLE}\ndelete table inet {TABLE}\n"
    if not _is_on(profile, policies):
        return head
    rules = [
        rule for rule in firewall["rules"].values()
        if rule["Enabled"] == "True" and rule["Direction"] == "Inbound" and (rule["Profile"] == "Any" or active in rule["Profile"])
    ]  # fmt: skip
    if policies.get("AllowLocalPolicyMerge", 1) == 0:
        rules = []
    body = [line for rule in rules if rule["Action"] == "Block" for line in _lines(rule, "drop")]
    body += [line for rule in rules if rule["Action"] == "Allow" for line in _lines(rule, "accept")]
    body.append("drop" if _blocks(profile, policies) else "accept")
    first = ['iifname != "eth0" accept', "ct direction reply accept", "meta l4proto != { tcp, udp } accept"]
    chain = "\n".join(["type filter hook input priority -10; policy accept;", *first, *body])
    return f"{head}table inet {TABLE} {{\nchain input {{\n{chain}\n}}\n}}\n"


def enforce() -> bool:
    """Brings the rules into force where there is a packet filter for them: in a lab PC."""
    hook = home.hook("firewall")
    if hook is None:
        return True
    file = home.STATE_DIR / f"firewall.{os.getpid()}.nft"
    home.replace_text(file, ruleset(home.load(home.STATE)["firewall"]))
    done = home.call(hook, file)
    file.unlink()
    return done
