"""The SSH server of a Windows PC: what its files say, and how they are changed. Pure: texts in, texts out.

Texts of files are Latin-1, so that every byte comes back as it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

BEGIN = "# begin of citadelle: the first value of a directive counts, so these do"
END = "# end of citadelle"
OLD = "# replaced by citadelle: "
DIRECTIVE = re.compile(r"\s*([A-Za-z0-9]+)(?:[\s=]|$)")
LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r|$)")
# Names that SDDL gives to the two who may change the file of administrators' keys, and their identifiers.
TRUSTED = {"BA", "SY", "S-1-5-32-544", "S-1-5-18"}
ENTRY = re.compile(r"\((\w+);[^;]*;([^;]*);[^;]*;[^;]*;([^;)]*)")
KEY = re.compile(r"(?:^|\s)((?:sk-)?(?:ssh|ecdsa)-[a-z0-9@.-]+)\s+[A-Za-z0-9+/=]{16}")
# Directives of which `sshd -T` prints one line for each value.
LISTS = {"allowusers", "allowgroups", "denyusers", "denygroups", "hostkey", "listenaddress", "port", "acceptenv"}


def _lines(text: str) -> list[str]:
    """Lines with their own ends; only those ends count that sshd knows."""
    return [line for line in LINE.findall(text) if line]


def _name(line: str) -> str:
    found = DIRECTIVE.match(line)
    return found[1].lower() if found else ""


def _split(text: str) -> tuple[list[str], list[str]]:
    """Lines of the block of this bundle, without its marks, and all other lines."""
    block: list[str] = []
    rest: list[str] = []
    ours = False
    for line in _lines(text):
        plain = line.rstrip()
        if plain not in (BEGIN, END):
            (block if ours else rest).append(line)
        ours = (ours or plain == BEGIN) and plain != END
    return block, rest


def block(text: str) -> dict[str, str]:
    """Directives in the block of this bundle."""
    pairs = (line.strip().partition(" ") for line in _split(text)[0])
    return {name: value.strip() for name, _, value in pairs if name}


def edit(text: str, directives: Iterable[tuple[str, str]]) -> str:
    """`text` of an sshd_config with these directives, in a block before everything else; without any, without that block.

    Other lines of theirs become comments, also in `Match` blocks, which would count more. All other lines stay byte by byte.
    """
    wanted = list(directives)
    names = {name.lower() for name, _ in wanted}
    rest = "".join(OLD + line.lstrip() if _name(line) in names else line for line in _split(text)[1])
    end = "\n" if "\n" in text and "\r\n" not in text else "\r\n"
    ours = [BEGIN, *(f"{name} {value}" for name, value in wanted), END] if wanted else []
    return "".join(line + end for line in ours) + rest


def overrides(text: str) -> dict[str, str]:
    """Directive in lower case -> what a `Match` block makes of it, in words."""
    found: dict[str, str] = {}
    match = ""
    for line in _lines(text):
        name = _name(line)
        if name == "match":
            match = line.strip()
        elif match and name:
            found.setdefault(name, f"{line.strip().partition(' ')[2].strip()} in {match}")
    return found


def server(value: Mapping[str, Any]) -> dict[str, Any]:
    """The section `sshd` of a state: `effective`, from the lines of `sshd -T`, and `text` of the file."""
    effective: dict[str, Any] = {}
    for line in value["Effective"]:
        name, _, given = str(line).strip().partition(" ")
        if name in LISTS:
            effective.setdefault(name, []).append(given)
        elif name:
            effective[name] = int(given) if given.isdigit() else given
    if "passwordauthentication" not in effective:
        raise ValueError("sshd -T told no settings")
    text = str(value.get("Text") or "")
    return {"effective": effective, "overrides": overrides(text), "text": text}


def keys(value: Mapping[str, Any]) -> dict[str, Any]:
    """The section `ssh_keys` of a state: `safe`, whether nobody else can change the file; `kinds` and `lines` of its keys."""
    text = str(value.get("Text") or "")
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    kinds = [found[1] if (found := KEY.search(line)) else "unknown" for line in lines]
    listed = str(value.get("Sddl") or "")
    return {"present": bool(listed), "safe": is_safe(listed), "kinds": kinds, "lines": [line.strip() for line in lines]}


def is_safe(sddl: str) -> bool:
    """Whether an access list satisfies OpenSSH for administrators' keys, strictly: nobody but Administrators and SYSTEM is on it."""
    owner = re.match(r"O:(S-1[\d-]+|[A-Z]{2})", sddl)
    entries = ENTRY.findall(sddl)
    return bool(owner and owner[1] in TRUSTED and entries) and all(who in TRUSTED for _, _, who in entries)
