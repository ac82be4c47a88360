"""What a PC shows of detection, second factors, updates and forwarded events. What is not proven is unknown, never right."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

# Programs of endpoint detection by their service, with the kernel drivers that each sees by; a program alone, without them, is blind.
# Microsoft, CrowdStrike, SentinelOne, Palo Alto, Sophos, ESET; of Elastic and HarfangLab no driver's name is known here.
EDR: dict[str, tuple[str, ...]] = {
    "Sense": ("MsSecFlt",),
    "CSFalconService": ("CSAgent",),
    "SentinelAgent": ("SentinelMonitor",),
    "cyserver": ("cyvrfsfd", "cyverak", "tedrdrv"),
    "Sophos MCS Agent": ("SophosED",),
    "ekrn": ("eamonm", "ehdrv"),
    "elastic-endpoint": (),
    "hurukai": (),
}

# An option before the key itself.
VERIFIED = re.compile(r"(?:\S+,)?verify-required[,\s]")


def combine(sections: dict[str, Any], errors: dict[str, str]) -> None:
    """Add to a state's sections what follows from several of them; where one of those is unknown, so is what follows."""

    def add(name: str, needs: tuple[str, ...], make: Callable[..., Any]) -> None:
        if all(need in sections for need in needs):
            sections[name] = make(*(sections[need] for need in needs))
        elif missing := [errors[need] for need in needs if need in errors]:
            errors[name] = "; ".join(missing)

    add("edr", ("services",), running)
    add("ssh_tokens", ("sshd", "ssh_keys"), tokens)
    add("edr_drivers", ("edr", "drivers"), sighted)


def running(services: dict[str, dict[str, Any]]) -> list[str]:
    """Services of endpoint detection that run. `services` by name in lower case."""
    return [name for name in EDR if services.get(name.lower(), {}).get("State") == "Running"]


def sighted(programs: Iterable[str], drivers: Iterable[str]) -> list[dict[str, Any]]:
    """Of the programs whose drivers are known, whether one of them is loaded."""
    loaded = {name.lower() for name in drivers}
    known = [name for name in programs if EDR[name]]
    return [{"Name": name, "driver": any(driver.lower() in loaded for driver in EDR[name])} for name in known]


def mfa(value: dict[str, Any]) -> dict[str, Any]:
    """`LogonSecondFactor`: true, or None with what there is as `...Why`."""
    forced = value.get("ForceOption") == 1
    return {**value, "LogonSecondFactor": True if forced else None, "LogonSecondFactorWhy": _logon(value)}


def tokens(server: dict[str, Any], keys: dict[str, Any]) -> dict[str, Any]:
    """`SecondFactor` of administration over SSH, from the sections `sshd` and `ssh_keys`: true, false, or None with its `...Why`."""
    lines, kinds = keys["lines"], keys["kinds"]
    if not lines:
        return {
            "SecondFactor": None,
            "SecondFactorWhy": "no key of an administrator is in administrators_authorized_keys",
        }
    if not all(kind.startswith("sk-") for kind in kinds):
        return {"SecondFactor": False}
    name = "pubkeyauthoptions"
    asked = "verify-required" in str(server["overrides"].get(name, server["effective"].get(name, "")))
    if asked or all(VERIFIED.match(line) for line in lines):
        return {"SecondFactor": True}
    return {
        "SecondFactor": None,
        "SecondFactorWhy": "each key is on a security key, but nothing asks for its PIN: verify-required",
    }


def _logon(value: dict[str, Any]) -> str:
    """What there is, where nothing forces a second factor. None of it says that a password alone opens no session."""
    enrolled = value.get("Hello") or []
    count = len(enrolled) if isinstance(enrolled, list) else 1
    states = ", ".join(f"{name} {value.get(name) or 'not said'}" for name in ("NgcSet", "AzureAdJoined", "AzureAdPrt"))
    enrolled_for = f"Hello is enrolled for {count} accounts"
    return f"nothing forces Hello or a smart card; {enrolled_for}, {states}; conditional access is not seen from here"


def updates(value: dict[str, Any], pending: list[dict[str, Any]]) -> dict[str, Any]:
    """What the PC's own task has found; before its first search nothing is known, and `...Why` says so."""
    if value.get("Searched"):
        return {**value, "Pending": pending}
    why = "no search for updates has been made: role updates"
    return {f"{name}Why": why for name in ("Pending", "DaysSinceSearch", "DaysSinceSuccess")}


def events(value: dict[str, Any]) -> dict[str, Any]:
    """When events were handed over last, where that went well; 0x41301: it is under way."""
    result = value.get("Result")
    if result in {"0x00000000", "0x00041301"} and value.get("Minutes") is not None:
        return {"MinutesSinceHandover": value["Minutes"]}
    why = f"the task has ended with {result}" if result else "no task hands events over: role events"
    return {"MinutesSinceHandoverWhy": why}
