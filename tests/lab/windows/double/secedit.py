"""secedit.exe: export and configure over INF files (UTF-16LE with mark, CRLF)."""

from pathlib import Path
from typing import Any

from . import home, paths, streams, texts

AREAS = {"SECURITYPOLICY": ("System Access", "Event Audit", "Registry Values"), "USER_RIGHTS": ("Privilege Rights",)}
DONE = (
    "The task has completed successfully.\nSee log %windir%\\security\\logs\\scesrv.log for detail info.",
    "La tâche s’est terminée correctement.\nConsultez le journal %windir%\\security\\logs\\scesrv.log pour plus de détails.",
)
FAILED = "The task is completed with an error.\nSee log %windir%\\security\\logs\\scesrv.log for detail info."
KINDS = {"1": "String", "2": "ExpandString", "3": "Binary", "4": "DWord", "7": "MultiString"}


def _options(words: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    name = ""
    for word in words:
        if word.startswith("/"):
            name = word.lower()
            found[name] = []
        elif name:
            found[name].append(word)
    return found


def _sections(options: dict[str, list[str]]) -> list[str] | None:
    wanted = [area.upper() for area in options.get("/areas", list(AREAS))]
    if any(area not in AREAS and area not in ("GROUP_MGMT", "REGKEYS", "FILESTORE", "SERVICES") for area in wanted):
        return None
    return [section for area in wanted for section in AREAS.get(area, ())]


def _visible(section: str, values: dict[str, str]) -> dict[str, str]:
    """Without a lockout threshold the two lockout times are not written, as the genuine does."""
    if section == "System Access" and values.get("LockoutBadCount", "0") == "0":
        return {name: value for name, value in values.items() if name not in ("ResetLockoutCount", "LockoutDuration")}
    return values


def text(security: dict[str, dict[str, str]], sections: list[str]) -> str:
    """The INF text of some sections."""
    lines = ["[Unicode]", "Unicode=yes"]
    for section in sections:
        sign = "=" if section == "Registry Values" else " = "
        lines.append(f"[{section}]")
        lines += [f"{name}{sign}{value}" for name, value in _visible(section, security[section]).items()]
    return "\r\n".join([*lines, "[Version]", 'signature="$CHICAGO$"', "Revision=1", ""])


def read(path: Path) -> dict[str, dict[str, str]]:
    """The sections of an INF file in UTF-16 with a mark, or in the ANSI code page."""
    data = path.read_bytes()
    decoded = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "cp1252")
    found: dict[str, dict[str, str]] = {}
    section = ""
    for line in decoded.splitlines():
        if line.startswith("["):
            section = line.strip()[1:-1]
            found[section] = {}
        elif "=" in line and section:
            name, _, value = line.partition("=")
            found[section][name.strip()] = value.strip()
    return found


def _to_registry(values: dict[str, str]) -> None:
    with home.change(home.REGISTRY) as registry:
        for path, value in values.items():
            key, _, name = path.partition("\\")[2].rpartition("\\")
            kind, _, data = value.partition(",")
            full = f"HKEY_LOCAL_MACHINE\\{key}"
            known = next((other for other in registry if other.lower() == full.lower()), full)
            shown: Any = int(data) if kind == "4" else data.split(",") if kind == "7" else data.strip('"')
            registry.setdefault(known, {})[name] = {"kind": KINDS.get(kind, "String"), "value": shown}


def _export(options: dict[str, list[str]], sections: list[str]) -> int:
    security = home.load(home.STATE)["security"]
    target = paths.local(options["/cfg"][0])
    if not target.parent.is_dir():
        return _fail()
    target.write_bytes(b"\xff\xfe" + text(security, sections).encode("utf-16-le"))
    return _done(options)


def _configure(options: dict[str, list[str]], sections: list[str]) -> int:
    """Each listed value replaces what was there; a right that is not listed stays, and so does one that a group policy holds."""
    source = paths.local(options["/cfg"][0])
    if "/db" not in options or not source.is_file():
        return _fail()
    wanted = read(source)
    if "Version" not in wanted or wanted["Version"].get("signature") != '"$CHICAGO$"':
        return _fail()
    if "System Access" in sections and _is_contradictory(
        home.load(home.STATE)["security"]["System Access"] | wanted.get("System Access", {})
    ):
        return _fail()
    with home.change() as state:
        held = state["security"].get("kept_by_policy", [])
        for section in sections:
            new = {name: value for name, value in wanted.get(section, {}).items() if name not in held}
            state["security"].setdefault(section, {}).update(new)
    if "Registry Values" in sections and wanted.get("Registry Values"):
        _to_registry(wanted["Registry Values"])
    paths.local(options["/db"][0]).write_bytes(b"")
    return _done(options)


def _is_contradictory(policy: dict[str, str]) -> bool:
    """A lockout that is shorter than the time in which failures count; -1 lasts until somebody ends it."""
    lasts, counts = int(policy.get("LockoutDuration", -1)), int(policy.get("ResetLockoutCount", 0))
    return policy.get("LockoutBadCount", "0") != "0" and 0 < lasts < counts


def _done(options: dict[str, list[str]]) -> int:
    if "/quiet" not in options:
        streams.out("\n" + DONE[1 if texts.is_french() else 0])
    return 0


def _fail() -> int:
    streams.err(FAILED)
    return 1


def main(_bare: str, arguments: list[str], _variables: dict[str, str], _raw: str | None) -> int:
    """`secedit /export|/configure ... /cfg FILE [/db FILE] [/areas ...] [/quiet]`."""
    options = _options(arguments)
    sections = _sections(options)
    if sections is None or not options.get("/cfg") or not {"/export", "/configure"} & set(options):
        streams.err("The parameter is incorrect. Windows double: secedit /export or /configure with /cfg FILE only.")
        return 1
    return _export(options, sections) if "/export" in options else _configure(options, sections)
