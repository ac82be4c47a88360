"""What a host says of itself, here Windows by the script `citadelle/facts/hardening.ps1`; live, or saved as JSON and judged later.

Numbers, identifiers and registry values only: nothing here depends on the PC's language.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from citadelle.hardening import bitlocker, evidence, ssh

FORMAT = 1
ADMINISTRATORS, HIGH = "S-1-5-32-544", 12288
LABEL = re.compile(r"S-1-16-(\d+)")
SETTING = 6  # column of the numbers in `auditpol /backup`; the words beside it are translated
EDITIONS = {
    "Core": "home",
    "ProfessionalEducation": "education",
    "Education": "education",
    "Professional": "pro",
    "Enterprise": "enterprise",
    "IoTEnterprise": "enterprise",
    "Server": "server",
}


SYSTEMS = {"windows": "Windows PC", "linux": "Linux host"}


class StateError(ValueError):
    """What was given is no state of such a host."""


@dataclass(frozen=True)
class State:
    """`sections` by name, as the script reads them but parsed; `registry`: `KEY!NAME` -> value, None where it is absent;

    `errors`: section or `registry.KEY!NAME` -> why it is unknown, in words that no language changes.
    """

    sections: dict[str, Any] = field(default_factory=dict)
    registry: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    milliseconds: int = 0
    raw: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def parse(cls, raw: Any, system: str = "windows", parsers: dict[str, Callable[[Any], Any]] | None = None) -> State:
        """Read the script's answer. A section that is not as expected is unknown, and the others stay. Raises `StateError`."""
        if not isinstance(raw, dict) or raw.get("format") != FORMAT or not isinstance(raw.get("sections"), dict):
            raise StateError(f"no state of a {SYSTEMS[system]} in format {FORMAT}")
        if raw.get("system", "windows") != system:
            raise StateError(f"no state of a {SYSTEMS[system]}: {raw.get('system', 'windows')}")
        parsers = SECTIONS if parsers is None else parsers
        sections, errors = {}, {name: _told(told) for name, told in (raw.get("errors") or {}).items()}
        for name, value in raw["sections"].items():
            try:
                sections[name] = parsers[name](value)
            except Exception as error:  # whatever a section holds, the others are judged
                errors[name] = f"{name} is not as expected: {error!r}"[:200]
        evidence.combine(sections, errors)
        if system == "windows":
            _choose(sections, raw.get("choices"))
        return cls(sections, dict(raw.get("registry") or {}), errors, int(raw.get("milliseconds") or 0), raw)

    @classmethod
    def read(cls, path: Path, parse: Callable[[Any], State] | None = None) -> State:
        """Read a saved state, of Windows unless `parse` says otherwise. Raises OSError, `StateError`."""
        try:
            return (parse or cls.parse)(json.loads(path.read_text("utf-8-sig")))
        except json.JSONDecodeError as error:
            raise StateError(f"no JSON: {error}") from None

    def chosen(self, unlock: str | None) -> State:
        """The same state judged by what its operator has chosen, `bitlocker_unlock`; saved along with it."""
        return State.parse({**self.raw, "choices": {"unlock": unlock}}) if self.raw and unlock else self

    @property
    def volumes(self) -> list[bitlocker.Volume]:
        """The volumes of the section `bitlocker`; none where it is unknown."""
        return [one["read"] for one in self.sections.get("bitlocker", [])]

    @property
    def edition(self) -> str:
        """Family of the edition: home, pro, education, enterprise, server; empty where it is unknown."""
        name = str((self.sections.get("version") or {}).get("EditionID", ""))
        return next((family for start, family in EDITIONS.items() if name.startswith(start)), "")


def _told(told: Any) -> str:
    return f"{told.get('id')} ({told.get('result')})" if isinstance(told, dict) else str(told)


def listed(value: Any) -> list[Any]:
    """Windows PowerShell writes one object for a list of one, and nothing for an empty one."""
    return value if isinstance(value, list) else [] if value is None else [value]


def _items(value: Any) -> list[dict[str, Any]]:
    items = listed(value)
    if not all(isinstance(item, dict) for item in items):
        raise TypeError("no list of objects")
    return items


RULE_LISTS = ("LocalPort", "LocalPorts", "LocalAddress", "LocalAddresses", "RemoteAddress", "RemoteAddresses")


def _rules(value: Any) -> list[dict[str, Any]]:
    """Rules of a firewall, whose lists stay lists."""
    return [{name: listed(one) if name in RULE_LISTS else one for name, one in rule.items()} for rule in _items(value)]


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("no object")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("neither true nor false")
    return value


def _version(value: dict[str, Any]) -> dict[str, Any]:
    return {**value, "Build": int(value["Build"]), "Revision": int(value["Revision"])}


def _computer(value: dict[str, Any]) -> dict[str, Any]:
    """`Joined`: to a domain or to Entra."""
    return {**_object(value), "Joined": bool(value.get("PartOfDomain") or value.get("PartOfEntra"))}


def _session(value: dict[str, Any]) -> dict[str, Any]:
    groups = value["Groups"]
    label = LABEL.search(groups)
    if label is None:
        raise ValueError("whoami names no integrity level")
    elevated = int(label[1]) >= HIGH and bool(re.search(rf"\b{ADMINISTRATORS}\b", groups))
    return {"elevated": elevated, "language": value.get("UICulture", ""), "client": value.get("Client", "")}


def _tpm(value: dict[str, Any]) -> dict[str, Any]:
    return {**value, "Version": str(value.get("SpecVersion", "")).partition(",")[0].strip()}


def _volumes(value: Any) -> list[dict[str, Any]]:
    volumes = [bitlocker.Volume.read(one, listed(one.get("KeyProtector"))) for one in _items(value)]
    return [{"volume": one.mount_point, "system": one.is_system, "read": one} for one in volumes]


def _choose(sections: dict[str, Any], given: Any) -> None:
    """What the operator has chosen, and the volumes judged by it."""
    unlock = given.get("unlock") if isinstance(given, dict) else None
    sections["choices"] = {"unlock": unlock if unlock in ("tpm", "tpm_pin") else "not chosen"}
    for one in sections.get("bitlocker", []):
        one.update(asdict(bitlocker.judge(one["read"], sections["choices"]["unlock"])))


def _services(value: Any) -> dict[str, dict[str, Any]]:
    """By name in lower case. A service of one user (`Name_1a2b3`) is no service of the PC."""
    return {str(one["Name"]).lower(): one for one in _items(value)}


def _security_policy(text: str) -> dict[str, Any]:
    """`account`: [System Access] as numbers and texts; `rights`: right -> who has it, identifiers without their star."""
    sections: dict[str, dict[str, str]] = {}
    current: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("["):
            current = sections.setdefault(line.strip().strip("[]"), {})
        elif "=" in line:
            name, _, value = line.partition("=")
            current[name.strip()] = value.strip()
    if "System Access" not in sections:
        raise ValueError("secedit wrote no [System Access]")
    rights = sections.get("Privilege Rights", {})
    return {
        "account": {name: _number(value) for name, value in sections["System Access"].items()},
        "rights": {
            name: [who.strip().lstrip("*") for who in value.split(",") if who] for name, value in rights.items()
        },
    }


def _products(value: Any) -> list[dict[str, Any]]:
    """`productState` in bits: 0x1000 on, 0x10 out of date."""
    states = [(str(one["displayName"]), int(one["productState"])) for one in _items(value)]
    return [{"Name": name, "active": state & 0xF000 == 0x1000, "current": state & 0xF0 == 0} for name, state in states]


def _names(value: Any) -> list[str]:
    return [str(name) for name in listed(value)]


def _updates(value: Any) -> dict[str, Any]:
    found = _object(value)
    return evidence.updates(found, _items(found.get("Pending")))


def _number(text: str) -> int | str:
    return int(text) if re.fullmatch(r"-?\d+", text) else text.strip('"')


def _audit_policy(text: str) -> dict[str, int]:
    """Subcategory's GUID in upper case -> 0 nothing, 1 success, 2 failure, 3 both."""
    rows = [row for row in csv.reader(text.splitlines()) if row]
    found = {row[3].upper(): int(row[SETTING]) for row in rows[1:] if row[3].startswith("{") and row[SETTING].strip()}
    if not found:
        raise ValueError("auditpol wrote no numbers")
    return found


SECTIONS: dict[str, Callable[[Any], Any]] = {
    "version": _version,
    "session": _session,
    "computer": _computer,
    "tpm": _tpm,
    "bitlocker": _volumes,
    "services": _services,
    "security_policy": _security_policy,
    "audit_policy": _audit_policy,
    "secure_boot": _flag,
    **dict.fromkeys(("antivirus", "firewall_products"), _products),
    "sshd": ssh.server,
    "ssh_keys": ssh.keys,
    "drivers": _names,
    "mfa": lambda value: evidence.mfa(_object(value)),
    "updates": _updates,
    "events": lambda value: evidence.events(_object(value)),
    **dict.fromkeys(("firewall_rules", "hyperv_rules", "ssh_openings"), _rules),
    **dict.fromkeys(("device_guard", "defender", "defender_preferences", "laps", "logon", "restart", "rollback"), _object),
    **dict.fromkeys(
        (
            "disks", "gpus", "npus", "firewall_profiles", "hyperv_firewall", "port_proxies",
            "listeners", "accounts", "distributions", "firewall_policy",
        ),
        _items,
    ),
}  # fmt: skip
