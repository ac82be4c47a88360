"""What powershell.exe writes on stderr when its streams are redirected: CLIXML, even when nothing is wrong.

Rules as in Ansible's decoder (plugins/shell/powershell.py): several documents may follow each other, only error texts count.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

START = "#< CLIXML"
DOCUMENT = re.compile(r"<Objs [^>]*>.*?</Objs>(?!\s*</)", re.DOTALL)
ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")


def errors(text: str) -> str:
    """Texts of the error records in `text`; what is not CLIXML is given back as it is."""
    if "CLIXML" not in text[:64] and "<Objs" not in text:
        return text
    return "\r\n".join("".join(_errors(document)) for document in DOCUMENT.findall(text) if _errors(document))


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
