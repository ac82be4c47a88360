"""The one place where PowerShell is quoted and built. Written for Windows PowerShell 5.1, whatever the PC's language and code page."""

from __future__ import annotations

import base64
import json
import re
from importlib.resources import files
from typing import Any

QUOTES = re.compile("['\u2018\u2019\u201a\u201b]")
# NUL ends text in Windows' own calls; half a surrogate pair has no UTF-8.
REFUSED = re.compile("[\0\ud800-\udfff]")


def quote(value: object) -> str:
    """A PowerShell literal of a text, whole number, truth value, None, or a list of those. Curly quotes end a string too: all are doubled.

    Raises ValueError for text that cannot arrive whole.
    """
    if value is None:
        return "$null"
    if isinstance(value, bool):
        return "$true" if value else "$false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list | tuple):
        return "@(" + ", ".join(quote(item) for item in value) + ")"
    text = str(value)
    if found := REFUSED.search(text):
        raise ValueError(f"not possible in a PowerShell text: {found[0]!a} in {text[:60]!a}")
    return "'" + QUOTES.sub(lambda found: found[0] * 2, text) + "'"


def encoded(script: str) -> str:
    """Argument of `-EncodedCommand`."""
    return base64.b64encode(script.encode("utf-16-le")).decode()


def query(script: str) -> str:
    """A script that prints the one value of `script` as one JSON line, as `WindowsFact` reads it."""
    return f"ConvertTo-Json -InputObject (& {{\n{script}\n}}) -Depth 8 -Compress"


def guarded(script: str) -> str:
    """A script that prints one JSON line: `{ok: true, data: [...]}`, or `{ok: false, code, id}` where it failed.

    No message is in it: that is in the PC's language, and could hold what must not be shown. `code`: the HRESULT, or X of `throw 'STOP:X'`.
    """
    return f"{GUARD[0]}{script}\n{GUARD[1]}"


GUARD = (
    "$ErrorActionPreference = 'Stop'\n$WarningPreference = 'SilentlyContinue'\ntry {\n$data = @(& {\n",
    """})
$answer = [ordered]@{ ok = $true; data = $data }
} catch {
$code = '0x{0:X8}' -f $_.Exception.HResult
if ([string]$_.Exception.Message -match '^STOP:(\\w+)$') { $code = $Matches[1] }
$answer = [ordered]@{ ok = $false; code = $code; id = [string]$_.FullyQualifiedErrorId }
}
$global:LASTEXITCODE = 0
ConvertTo-Json -InputObject $answer -Depth 5 -Compress
""",
)


def assign(**values: object) -> str:
    """Lines that set a variable for each value, to stand before a script from a file."""
    return "".join(f"${name} = {quote(value)}\n" for name, value in values.items())


LOOP = files("citadelle").joinpath("loop.ps1").read_text("utf-8")
# Constant: the scripts themselves come over stdin, so neither length limits nor the process list matter.
START = f"powershell.exe -NoLogo -NoProfile -NonInteractive -ExecutionPolicy Bypass -EncodedCommand {encoded(LOOP)}"


def request(script: str) -> bytes:
    """One frame for the loop: a line of base64 with a dot, without which a frame was cut on its way."""
    return base64.b64encode(script.encode()) + b".\n"


ANSWER = re.compile(rb"@@B64:([A-Za-z0-9+/=]*):B64@@")
# What ends an answer on each stream: they arrive independently of each other.
MARKS = {"stdout": b":B64@@", "stderr": b"@@END@@"}


def answer(data: bytes | bytearray) -> dict[str, Any] | None:
    """The loop's answer in what was read so far, or None. Keys: code (int), out (lines), error (None or {text, id, result, line})."""
    found = ANSWER.search(data)
    return json.loads(base64.b64decode(found[1])) if found else None
