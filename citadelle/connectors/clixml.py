"""What powershell.exe writes on stderr when its streams are redirected: CLIXML, even when nothing is wrong.

Rules as in Ansible's decoder (plugins/shell/powershell.py): several documents may follow each other, only error texts count. The
programs that a script starts write plain text on the same stream, between the documents.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

HEADER = re.compile(r"^(?:#<|<#) CLIXML\r?\n?", re.MULTILINE)
DOCUMENT = re.compile(r"<Objs [^>]*>.*?</Objs>(?!\s*</)", re.DOTALL)
ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")


def errors(text: str) -> str:
    """Texts of the error records in `text` and what programs wrote around them; what is not CLIXML is given back as it is."""
    parts, end = [], 0
    for found in DOCUMENT.finditer(text):
        parts += [HEADER.sub("", text[end : found.start()]), "".join(_errors(found[0]))]
        end = found.end()
    if not parts and not HEADER.match(text):
        return text
    parts.append(HEADER.sub("", text[end:]))
    return "\r\n".join(trimmed for part in parts if (trimmed := part.strip("\r\n")))


def _errors(document: str) -> list[str]:
    try:
        root = ET.fromstring(document)  # noqa: S314  (comes from the administered host over its authenticated line; no entities in CLIXML)
    except ET.ParseError:
        return [document]
    return [
        _unescape(element.text or "")
        for element in root.iter()
        if element.tag.endswith("}S") and element.get("S") == "Error"
    ]


def _unescape(text: str) -> str:
    # Escapes are UTF-16 code units: two of them may be one character.
    units = ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
    return units.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
