"""Access lists as Get-Acl and Set-Acl see them; the same state as icacls."""

import json
from pathlib import Path
from typing import Any

from . import home, icacls, paths, principals

# Letters of icacls -> name of FileSystemRights, and the access mask of SDDL.
RIGHTS = {
    "(F)": ("FullControl", "FA"),
    "(M)": ("Modify, Synchronize", "0x1301bf"),
    "(RX)": ("ReadAndExecute, Synchronize", "0x1200a9"),
    "(R)": ("Read, Synchronize", "FR"),
    "(W)": ("Write, Synchronize", "0x100116"),
}
INHERITANCE = {"(CI)": "ContainerInherit", "(OI)": "ObjectInherit"}


def _file(text: str) -> Path:
    link = str(home.LINK)
    return Path(str(home.DRIVE) + text[len(link) :]) if text.startswith(link + "/") else paths.local(text)


def _names(entry: icacls.Entry, known: dict[str, str], default: str) -> str:
    return ", ".join(name for flag, name in known.items() if flag in entry["flags"]) or default


def _rule(entry: icacls.Entry, inherited: bool) -> dict[str, Any]:
    rights = RIGHTS.get(entry["rights"])
    if rights is None:
        raise ValueError(f"the Windows double does not show these rights as FileSystemRights: {entry['rights']}")
    return {
        "FileSystemRights": rights[0],
        "AccessControlType": "Deny" if entry.get("deny") else "Allow",
        "IdentityReference": principals.name_of(entry["sid"]),
        "IsInherited": inherited,
        "InheritanceFlags": _names(entry, INHERITANCE, "None"),
        "PropagationFlags": _names(entry, {"(IO)": "InheritOnly", "(NP)": "NoPropagateInherit"}, "None"),
    }


def _sddl(own: dict[str, Any], rules: list[tuple[icacls.Entry, bool]]) -> str:
    parts = [f"O:{own['owner']}D:{'' if own['inherits'] else 'P'}AI"]
    for entry, inherited in rules:
        flags = "".join(flag for flag in ("OI", "CI", "NP", "IO") if f"({flag})" in entry["flags"])
        kind = "D" if entry.get("deny") else "A"
        parts.append(f"({kind};{flags}{'ID' if inherited else ''};{RIGHTS[entry['rights']][1]};;;{entry['sid']})")
    return "".join(parts)


def show(text: str) -> int:
    """Prints a file's list as JSON: owner, rules, SDDL, and `Own`, what `put` takes."""
    file, acls = _file(text), home.load(home.STATE).get("acls", {})
    rules = [(e if file.is_dir() else e | {"flags": ""}, inherited) for e, inherited in icacls.effective(acls, file)]
    own = {"owner": "S-1-5-32-544"} | acls.get(icacls.key(file), {"entries": [], "inherits": True})
    found = {
        "Owner": principals.name_of(own["owner"]),
        "Protected": not own["inherits"],
        "Rules": [_rule(entry, inherited) for entry, inherited in rules],
        "Sddl": _sddl(own, rules),
        "Own": own,
    }
    print(json.dumps(found))
    return 0


def put(text: str, own: str) -> int:
    """Gives a file the own entries, the owner and the inheritance of another one's list."""
    with home.change() as state:
        icacls.lists(state)[icacls.key(_file(text))] = json.loads(own)
    return 0
