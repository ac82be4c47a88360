"""icacls.exe: access lists kept in the state, by path; what nobody set is inherited."""

import re
from pathlib import Path
from typing import Any

from . import home, paths, principals, streams, texts

DEFAULT = [
    {"sid": "S-1-5-18", "flags": "(OI)(CI)", "rights": "(F)"},
    {"sid": "S-1-5-32-544", "flags": "(OI)(CI)", "rights": "(F)"},
    {"sid": "S-1-5-32-545", "flags": "(OI)(CI)", "rights": "(RX)"},
]
ENTRY = re.compile(r"^(.+):((?:\((?:OI|CI|IO|NP|I)\))*)(\([A-Z,]+\)|[A-Z]+)$", re.IGNORECASE)
COMMANDS = {"/grant", "/grant:r", "/deny", "/remove", "/remove:g", "/remove:d", "/setowner"}
PLAIN = {"/t", "/c", "/l", "/q", "/reset", "/inheritance:e", "/inheritance:d", "/inheritance:r"}


class Refused(Exception):
    """A message and an exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


Entry = dict[str, str]


def key(path: Path) -> str:
    """Under which a file's list is kept."""
    return paths.windows(path).lower()


def lists(state: dict[str, Any]) -> dict[str, Any]:
    """The lists of the state, to be changed; those of files that are gone are gone with them."""
    kept: dict[str, Any] = state.setdefault("acls", {})
    for name in [name for name in kept if not paths.local(name).exists()]:
        del kept[name]
    return kept


def inherited(acls: dict[str, Any], path: Path) -> list[Entry]:
    """What a file gets from the folders above it."""
    if path == home.DRIVE:
        return []
    above = acls.get(key(path.parent))
    entries = list(above["entries"]) if above else []
    passed = [entry for entry in entries if "(OI)" in entry["flags"] or "(CI)" in entry["flags"]]
    if above is None or above["inherits"]:
        passed += inherited(acls, path.parent) if path.parent != home.DRIVE else DEFAULT
    return passed


def effective(acls: dict[str, Any], path: Path) -> list[tuple[Entry, bool]]:
    """Entries of a file, own ones first; True = inherited."""
    own = acls.get(key(path)) or {"entries": [], "inherits": True}
    found = [(entry, False) for entry in own["entries"]]
    if own["inherits"]:
        found += [(entry, True) for entry in inherited(acls, path)]
    return found


def _show(path: str, file: Path) -> None:
    rows = []
    is_folder = file.is_dir()
    for entry, is_inherited in effective(home.load(home.STATE).get("acls", {}), file):
        flags = entry["flags"] if is_folder else ""
        mark = ("(I)" if is_inherited else "") + ("(DENY)" if entry.get("deny") else "")
        rows.append(f"{principals.name_of(entry['sid'])}:{mark}{flags}{entry['rights']}")
    pad = " " * (len(path) + 1)
    streams.out(f"{path} " + f"\n{pad}".join(rows) + "\n")


def _sid(name: str) -> str:
    sid = principals.sid_of(name)
    if sid is None:
        raise Refused(f"{name}: No mapping between account names and security IDs was done.", 1332)
    return sid


def _entry(word: str, deny: bool) -> Entry:
    found = ENTRY.match(word)
    if not found:
        raise Refused(texts.text("bad_parameter", word), 87)
    rights = found[3] if found[3].startswith("(") else f"({found[3]})"
    entry = {"sid": _sid(found[1]), "flags": found[2].upper(), "rights": rights.upper()}
    return entry | ({"deny": "1"} if deny else {})


def _grant(own: dict[str, Any], word: str, command: str) -> None:
    entry = _entry(word, command == "/deny")
    same = [e for e in own["entries"] if e["sid"] == entry["sid"] and bool(e.get("deny")) == (command == "/deny")]
    if command == "/grant:r":
        own["entries"] = [e for e in own["entries"] if e not in same]
    if entry not in own["entries"]:
        own["entries"].append(entry)


def _remove(own: dict[str, Any], name: str) -> None:
    sid = _sid(name)
    own["entries"] = [entry for entry in own["entries"] if entry["sid"] != sid]


def _inheritance(own: dict[str, Any], word: str, acls: dict[str, Any], path: Path) -> None:
    if word.endswith(":d") and own["inherits"]:
        own["entries"] += inherited(acls, path)
    own["inherits"] = word.endswith(":e")


def _apply(acls: dict[str, Any], path: Path, steps: list[tuple[str, str]]) -> None:
    own = acls.setdefault(key(path), {"entries": [], "inherits": True, "owner": "S-1-5-32-544"})
    for command, value in steps:
        if command in ("/grant", "/grant:r", "/deny"):
            _grant(own, value, command)
        elif command.startswith("/remove"):
            _remove(own, value)
        elif command == "/setowner":
            own["owner"] = _sid(value)
        elif command == "/reset":
            own.update(entries=[], inherits=True)
        else:
            _inheritance(own, command, acls, path)


def _steps(words: list[str]) -> tuple[list[tuple[str, str]], set[str]]:
    """What to do in order, and the plain switches."""
    steps, switches, command = [], set(), ""
    for word in words:
        low = word.lower()
        if low in COMMANDS:
            command = low
        elif low in PLAIN:
            command = ""
            if low.startswith(("/inheritance", "/reset")):
                steps.append((low, ""))
            else:
                switches.add(low)
        elif word.startswith("/") or not command:
            raise Refused(texts.text("bad_parameter", word), 87)
        else:
            steps.append((command, word))
    return steps, switches


def _targets(file: Path, switches: set[str]) -> list[Path]:
    return [file, *sorted(file.rglob("*"))] if "/t" in switches and file.is_dir() else [file]


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] == "/?":
        streams.out(
            "ICACLS name [/grant[:r] Sid:perm] [/deny Sid:perm] [/remove Sid] [/inheritance:e|d|r] [/setowner user] [/reset] [/T] [/C] [/Q]"
        )
        return 0
    path, file = arguments[0], paths.local(arguments[0])
    steps, switches = _steps(arguments[1:])
    if not file.exists():
        streams.err(f"{path}: {texts.text('no_file')}")
        streams.out("Successfully processed 0 files; Failed processing 1 files")
        return 2
    if not steps:
        _show(path, file)
    targets = _targets(file, switches)
    with home.change() as state:
        acls = lists(state)
        for target in targets if steps else []:
            _apply(acls, target, steps)
    if steps and "/q" not in switches:
        streams.out("\n".join(f"processed file: {paths.windows(target)}" for target in targets))
    streams.out(f"Successfully processed {len(targets)} files; Failed processing 0 files")
    return 0


def main(_bare: str, arguments: list[str], _variables: dict[str, str], _raw: str | None) -> int:
    """Shows or changes the access list of a path; nothing is changed when one word is wrong."""
    try:
        return _run(arguments)
    except Refused as problem:
        streams.err(str(problem))
        return problem.code
