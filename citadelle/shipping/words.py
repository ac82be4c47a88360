"""What all forms of messages are made of: how bad something is, and how values are written. Pure; runs on hosts too."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

PROGRAM = "/usr/local/lib/citadelle/shipping/words.py"
ENTERPRISE = 32473  # the number that RFC 5612 keeps for examples: nobody has registered one for this program
NOTICE, WARNING, ERROR = 5, 4, 3  # severities of RFC 5424; 6 is what is as it should be
SEVERITIES = {6: ("informational", 1, 1), NOTICE: ("low", 2, 3), WARNING: ("medium", 3, 5), ERROR: ("high", 4, 8)}
Record = dict[str, Any]


def escaped(value: str, character: str) -> str:
    """As CEF wants it: a backslash before itself and before what separates, no line ends."""
    plain = value.replace("\\", "\\\\").replace(character, "\\" + character)
    return plain.replace("\r", " ").replace("\n", "\\n" if character == "=" else " ")


def printable(value: str) -> str:
    """In ASCII that is seen: the trail has nothing else, what somebody has put there may."""
    return "".join(
        one if " " <= one <= "~" else repr(one)[1:-1] if ord(one) < 128 else f"\\u{ord(one):04x}" for one in value
    )


def quoted(value: str) -> str:
    """As a value of structured data: RFC 5424, 6.3.3."""
    return re.sub(r'(["\\\]])', r"\\\1", value)


def text(value: object) -> str | None:
    """A value as text; nothing for nothing."""
    return None if value is None else str(value)


def milliseconds(moment: str) -> int:
    """Since 1970, of a time as records have it."""
    return round(datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp() * 1000)


def dumped(value: Record) -> str:
    """As JSON in ASCII, without what is not known."""
    return json.dumps(_known(value), separators=(",", ":"))


def _known(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    found = {name: _known(part) for name, part in value.items()}
    return {name: part for name, part in found.items() if part is not None and part != {}}
