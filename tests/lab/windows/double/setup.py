"""A fresh Windows: folders of drive C:, links to the programs, state and registry as after a first start."""

import json
import os
import time
from typing import Any

from . import home, openssh

SYSTEM32 = "Windows/System32"
PLACES = {
    "auditpol": SYSTEM32,
    "cmd": SYSTEM32,
    "dsregcmd": SYSTEM32,
    "hostname": SYSTEM32,
    "icacls": SYSTEM32,
    "netsh": SYSTEM32,
    "powershell": SYSTEM32 + "/WindowsPowerShell/v1.0",
    "schtasks": SYSTEM32,
    "secedit": SYSTEM32,
    "shutdown": SYSTEM32,
    "ssh-keygen": SYSTEM32 + "/OpenSSH",
    "sshd": SYSTEM32 + "/OpenSSH",
    "whoami": SYSTEM32,
    "wsl": "Program Files/WSL",
}
FOLDERS = (
    "Users/Public",
    "ProgramData/ssh",
    "Windows/Temp",
    "Program Files",
    "Program Files (x86)",
    "Windows/System32/OpenSSH",
)


def _link(folder: str, name: str) -> None:
    place = home.DRIVE / folder
    place.mkdir(parents=True, exist_ok=True)
    for link in (place / name, place / f"{name}.exe"):
        if not link.is_symlink():
            link.symlink_to(home.CODE / "program")


def _folders() -> None:
    for folder in FOLDERS:
        (home.DRIVE / folder).mkdir(parents=True, exist_ok=True)
    for name, folder in PLACES.items():
        _link(folder, name)
    _link(SYSTEM32, "wsl")
    if not home.LINK.is_symlink():
        home.LINK.symlink_to(home.DRIVE)


def _initial(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((home.CODE / "data" / name).read_text(encoding="utf-8"))
    return found


def create(force: bool = False) -> None:
    """Makes what is missing; with `force` the state begins anew (files on drive C: stay)."""
    home.STATE_DIR.mkdir(parents=True, exist_ok=True)
    home.SESSIONS.mkdir(exist_ok=True)
    _folders()
    with home.alone(home.STATE):
        if force or not home.STATE.exists():
            content = _initial("state.json") | {"booted": int(time.time() * 1000)}
            home.replace_text(home.STATE, json.dumps(content, indent=1, ensure_ascii=False))
    with home.alone(home.REGISTRY):
        if force or not home.REGISTRY.exists():
            home.replace_text(home.REGISTRY, json.dumps(_initial("registry.json"), indent=1, ensure_ascii=False))
    openssh.create()
    if os.geteuid() == 0:
        owner = home.STATE_DIR.stat()
        for path in (home.SESSIONS, *home.STATE_DIR.glob("*")):
            os.chown(path, owner.st_uid, owner.st_gid)


def localise(culture: str) -> None:
    """Names that Windows itself gives, in its language: built-in accounts, groups, services."""
    names = _initial("names.json")[culture]
    with home.change() as content:
        for kind in ("users", "groups"):
            for entry in content.get(kind, []):
                entry["Name"] = names.get(entry["SID"].replace(_machine(entry["SID"]), "*"), entry["Name"])


def _machine(sid: str) -> str:
    return sid.rpartition("-")[0] if sid.startswith("S-1-5-21-") else "\0"
