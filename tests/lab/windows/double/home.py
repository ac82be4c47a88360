"""Where one double keeps its things, and the knobs that tests turn."""

import json
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CODE = Path(__file__).resolve().parent.parent
_OWN = os.environ.get("WINDOWS_DOUBLE_HOME", "")
STATE_DIR = Path(_OWN or "/var/lib/windows-double")
DRIVE = Path(_OWN + "/C:") if _OWN else Path("/C:")
LINK = STATE_DIR / "c"  # leads to DRIVE: the engine cannot use a folder with a colon in its name as the root of a drive
STATE = STATE_DIR / "state.json"
REGISTRY = STATE_DIR / "registry.json"
JOURNAL = STATE_DIR / "journal.jsonl"
KNOBS = STATE_DIR / "knobs.json"
SESSIONS = STATE_DIR / "sessions"
HAS_OWN_HOME = bool(_OWN)


def hook(name: str) -> Path | None:
    """The program that makes a change of this double count outside of it: a test's own, or in a lab PC the one that comes along."""
    places = [STATE_DIR / "hooks" / name] + ([] if HAS_OWN_HOME else [CODE / "hooks" / name])
    return next((place for place in places if place.exists()), None)


def call(found: Path, file: Path) -> bool:
    """Runs a hook on a file, with this machine's own programs on PATH and not the double's; whether it succeeded."""
    import subprocess

    environment = os.environ | {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    return (
        subprocess.run([str(found), str(file)], env=environment, stdin=subprocess.DEVNULL, check=False).returncode == 0
    )


DEFAULT_KNOBS: dict[str, Any] = {
    "culture": "en-US",
    "slow_start": 0.0,
    "powershell": "",  # folder or binary; "" = WINDOWS_DOUBLE_POWERSHELL, then /opt/powershell
    "personality": "",  # "plain" = start the engine as pwsh; "" = WINDOWS_DOUBLE_PWSH, then whatever is there
}


def knobs() -> dict[str, Any]:
    """Settings that a test can turn: the defaults, overlaid by knobs.json."""
    try:
        return DEFAULT_KNOBS | json.loads(KNOBS.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return dict(DEFAULT_KNOBS)


def turn(**wanted: Any) -> None:
    """Keeps knob values for every later process of this double."""
    replace_text(KNOBS, json.dumps(knobs() | wanted, indent=1))


def windows_user() -> str:
    """The Windows account of this process: WINDOWS_DOUBLE_USER, or the name it logged in by, which several of one number may have."""
    own, login = os.environ.get("WINDOWS_DOUBLE_USER"), os.environ.get("LOGNAME", "")
    if (
        not own
        and not HAS_OWN_HOME
        and login in {entry.pw_name for entry in pwd.getpwall() if entry.pw_uid == os.getuid()}
    ):
        return login
    return own or pwd.getpwuid(os.getuid()).pw_name


def replace_text(path: Path, text: str) -> None:
    """Writes a file in one step; a file written by root stays with the owner of its folder."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(temporary, owner.st_uid, owner.st_gid)
    temporary.replace(path)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Holds `<path>.lock`, the lock that .NET's FileShare.None takes as well."""
    import fcntl

    lock = Path(str(path) + ".lock")
    with open(lock, "a+b") as handle:
        if os.geteuid() == 0:
            owner = path.parent.stat()
            os.chown(lock, owner.st_uid, owner.st_gid)
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def load(path: Path) -> dict[str, Any]:
    """A JSON file of the double; {} when it does not exist yet."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return {}
    found: dict[str, Any] = json.loads(text) if text else {}
    return found


@contextmanager
def change(path: Path = STATE) -> Iterator[dict[str, Any]]:
    """Gives the newest content to change, alone among all processes, and saves it in one step."""
    with alone(path):
        content = load(path)
        yield content
        replace_text(path, json.dumps(content, indent=1, ensure_ascii=False))
