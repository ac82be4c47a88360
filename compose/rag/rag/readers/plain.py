"""Text without any form: UTF-8, UTF-16 with its mark, else Windows' western code page."""

import codecs
from pathlib import Path

from rag.readers import Text, Unreadable

_BYTES = 40_000_000
_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def decode(data: bytes) -> str:
    """Raise Unreadable for what is no text in any of the three."""
    for mark, name in _MARKS.items():
        if data.startswith(mark):
            return data.decode(name)
    if b"\0" in data:
        raise Unreadable("not text")
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def load(path: Path) -> str:
    """The text of a file with the line ends of Unix."""
    if path.stat().st_size > _BYTES:
        raise Unreadable("too large")
    return decode(path.read_bytes()).replace("\r\n", "\n").replace("\r", "\n")


def read(path: Path) -> Text:
    """A form feed begins a page."""
    return Text("", load(path).split("\f"))
