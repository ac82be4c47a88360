"""Markdown: as it is, since its signs hurt nobody; the first heading is the title, and fields at the top are left out."""

import re
from pathlib import Path

from rag.readers import Text
from rag.readers.plain import load

_FIELDS = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_TITLE = re.compile(r"^# +(.+?) *#*$|^(.+)\n=+$", re.MULTILINE)


def read(path: Path) -> Text:
    """One page."""
    text = _FIELDS.sub("", load(path))
    found = _TITLE.search(text)
    return Text((found[1] or found[2]) if found else "", [text])
