"""Accounts and groups: SIDs, and the names this Windows gives them in its language."""

import json
from functools import cache
from typing import Any

from . import environment, home, texts

BUILTIN = "S-1-5-32-"


@cache
def _known() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((home.CODE / "data" / "names.json").read_text(encoding="utf-8"))
    return found


def _well_known() -> dict[str, str]:
    names: dict[str, str] = _known()["well_known"]["fr-FR" if texts.is_french() else "en-US"]
    return names


def name_of(sid: str) -> str:
    """`BUILTIN\\Administrators`, `PC1\\operator`; a SID that nobody knows stays as it is."""
    if sid in _well_known():
        return _well_known()[sid]
    state = home.load(home.STATE)
    for entry in state["groups"] + state["users"]:
        if entry["SID"] == sid:
            authority = "BUILTIN" if sid.startswith(BUILTIN) else environment.computer_name()
            return f"{authority}\\{entry['Name']}"
    return sid


def sid_of(name: str) -> str | None:
    """The SID behind `*S-1-...`, a name, or `AUTHORITY\\name` in this Windows' language; None when nobody is called so."""
    if name.startswith("*S-1-"):
        return name[1:]
    low = name.lower()
    for sid, full in _well_known().items():
        if low in (full.lower(), full.lower().rpartition("\\")[2]):
            return sid
    state = home.load(home.STATE)
    for entry in state["groups"] + state["users"]:
        if low.rpartition("\\")[2] == entry["Name"].lower():
            return str(entry["SID"])
    return None


def current_sid() -> str:
    """The SID of the caller; an account that Windows does not list is taken for the first administrator."""
    if home.windows_user().lower() == "system":
        return "S-1-5-18"
    state = home.load(home.STATE)
    low = home.windows_user().lower()
    found = next((user["SID"] for user in state["users"] if user["Name"].lower() == low), None)
    return str(found or f"{state['machine_sid']}-1001")


def groups_of(sid: str) -> list[str]:
    """SIDs of the local groups an account is in."""
    return [str(group["SID"]) for group in home.load(home.STATE)["groups"] if sid in group["Members"]]
