"""Text of files by their kind. Each reader gets a path and gives a title ("" for none) and the text of each page.

They run in a process of their own with limits (`rag.worker`), since what they read comes from anywhere. A reader raises Unreadable with a
code for what it knows, and anything for what it does not.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path


class Unreadable(Exception):
    """A file that is not taken in; the text is a code of a word or a few."""


@dataclass(frozen=True)
class Text:
    """`pages` in order; a kind without pages has one."""

    title: str
    pages: list[str]


PAGES = 5000  # of one document; more is a book collection, or made to hurt
TITLE = 300  # characters; the gateway takes no title of more than 512
CHARACTERS = 20_000_000  # of text of one document
_MODULES = {
    "plain": (".txt", ".text", ".log"),
    "markdown": (".md", ".markdown"),
    "table": (".csv", ".tsv"),
    "html": (".html", ".htm", ".xhtml"),
    "pdf": (".pdf",),
    "docx": (".docx",),
    "pptx": (".pptx",),
    "xlsx": (".xlsx",),
    "odt": (".odt",),
    "mail": (".eml",),
}
KINDS = {suffix: module for module, suffixes in _MODULES.items() for suffix in suffixes}


def read(path: Path) -> Text:
    """Title and pages of a file of a known kind. Raise Unreadable, or whatever the reader's library raises."""
    reader: Callable[[Path], Text] = import_module(f"rag.readers.{KINDS[path.suffix.lower()]}").read
    text = reader(path)
    if len(text.pages) > PAGES:
        raise Unreadable("too many pages")
    if sum(map(len, text.pages)) > CHARACTERS:
        raise Unreadable("too much text")
    return text
