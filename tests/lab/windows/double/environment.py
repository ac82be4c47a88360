"""The environment of a fresh SSH session: what Windows always has, then the machine's and the user's registry keys."""

import os
import re
from typing import Any

from . import home

MACHINE = "HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Control\\Session Manager\\Environment"
USER = "HKEY_CURRENT_USER\\Environment"
SYSTEM32 = "C:\\Windows\\system32"


def computer_name() -> str:
    """The NetBIOS name: the machine's own, cut to 15 characters."""
    return (os.environ.get("WINDOWS_DOUBLE_COMPUTER") or os.uname().nodename.split(".")[0])[:15].upper()


def _always(user: str) -> dict[str, str]:
    profile = f"C:\\Users\\{user}"
    return {
        "ALLUSERSPROFILE": "C:\\ProgramData",
        "APPDATA": profile + "\\AppData\\Roaming",
        "CommonProgramFiles": "C:\\Program Files\\Common Files",
        "COMPUTERNAME": computer_name(),
        "ComSpec": SYSTEM32 + "\\cmd.exe",
        "HOMEDRIVE": "C:",
        "HOMEPATH": profile[2:],
        "LOCALAPPDATA": profile + "\\AppData\\Local",
        "NUMBER_OF_PROCESSORS": str(os.cpu_count() or 1),
        "OS": "Windows_NT",
        "Path": f"{SYSTEM32};C:\\Windows;{SYSTEM32}\\Wbem;{SYSTEM32}\\WindowsPowerShell\\v1.0\\;{SYSTEM32}\\OpenSSH\\",
        "PATHEXT": ".COM;.EXE;.BAT;.CMD;.VBS;.VBE;.JS;.JSE;.WSF;.WSH;.MSC",
        "PROCESSOR_ARCHITECTURE": "AMD64",
        "ProgramData": "C:\\ProgramData",
        "ProgramFiles": "C:\\Program Files",
        "ProgramFiles(x86)": "C:\\Program Files (x86)",
        "ProgramW6432": "C:\\Program Files",
        "PUBLIC": "C:\\Users\\Public",
        "SystemDrive": "C:",
        "SystemRoot": "C:\\Windows",
        "TEMP": profile + "\\AppData\\Local\\Temp",
        "TMP": profile + "\\AppData\\Local\\Temp",
        "USERDOMAIN": "WORKGROUP",
        "USERNAME": user,
        "USERPROFILE": profile,
        "windir": "C:\\Windows",
    }


def _plain(value: Any) -> str:
    return str(value["value"] if isinstance(value, dict) else value)


def _from_registry(key: str, content: dict[str, Any]) -> dict[str, str]:
    found: dict[str, Any] = next((values for name, values in content.items() if name.lower() == key.lower()), {})
    return {name: _plain(value) for name, value in found.items()}


def _expand(value: str, known: dict[str, str]) -> str:
    upper = {name.upper(): text for name, text in known.items()}
    return re.sub(r"%([^%]+)%", lambda found: upper.get(found[1].upper(), found[0]), value)


def session() -> dict[str, str]:
    """Windows' variables of a session that starts now; a machine-wide change is seen by the next session."""
    variables = _always(home.windows_user())
    content = home.load(home.REGISTRY)
    for key in (MACHINE, USER):
        for name, value in _from_registry(key, content).items():
            if name.upper() not in ("PATH", "TEMP", "TMP"):
                variables[name] = _expand(value, variables)
    for name in ("SSH_CLIENT", "SSH_CONNECTION"):
        if name in os.environ:
            variables[name] = os.environ[name]
    return variables


def get(variables: dict[str, str], name: str) -> str | None:
    """A variable by name, whatever its case."""
    return next((value for other, value in variables.items() if other.upper() == name.upper()), None)
