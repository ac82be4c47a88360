"""HTML in an answer: which tags may stay as they are, which are taken out, and which are made text.

Readers differ: what is a tag to one is text to another, and what stands in it a link. So a tag stays whole only where all of them see the
same one; of any other the inside is looked at as text too, or it is broken with a space.
"""

import html
import re
from collections.abc import Callable
from typing import NamedTuple

HOLD = 320  # longest part of an answer that is held back until it is decided, in characters
REMOVED = " (link removed)"

UNSEEN = "\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff"  # characters without width: some readers drop them first
_NAME = re.compile(r"</?([A-Za-z][^\s/>]*)")  # as HTML reads it
_AUTOLINK = re.compile(r"<[A-Za-z][A-Za-z0-9+.-]*:[^\x00-\x20<>]*>")  # as Markdown does
_TAG = re.compile(r"""<(?:[^>"']|"[^"]*"|'[^']*')*>""")
_BLANK = r"(?:[ \t]+(?:\n[ \t]*)?|\n[ \t]*)"
_ATTRIBUTE = rf"""{_BLANK}[A-Za-z_:][A-Za-z0-9_.:-]*(?:[ \t]*=[ \t]*(?:"[^"<>\n]*"|'[^'<>\n]*'|[^\s"'=<>`]+))?"""
_OPENING, _CLOSING = rf"[A-Za-z][A-Za-z0-9-]*(?:{_ATTRIBUTE})*[ \t]*/?", r"/[A-Za-z][A-Za-z0-9-]*[ \t]*"
# The same to HTML and to Markdown: a tag, or an address; with nothing in it that were a link, or ended code, if it were text after all.
_WHOLE = re.compile(rf"<(?:{_OPENING}|{_CLOSING}|[A-Za-z][A-Za-z0-9+.-]+:[^\s<>\"'`]*)>")
_OF_TEXT = re.compile(r"[\]`]|www\\?\.", re.IGNORECASE)
_STRANGE = re.compile(rf"[\"'`=<\n&\]]|[:w{UNSEEN}][/.\\]", re.IGNORECASE)  # what may change, or be more than a name
_HANDLER = re.compile(r"\b(?:on[a-z]+|style)=", re.IGNORECASE)  # in an address: to HTML another attribute
_URL = re.compile(r"""https?:(//[^\s"'<>]*)""", re.IGNORECASE)
_SUSPICIOUS = re.compile(
    r"//|\\|(?:^|[\s\"'=(,])(?:https?|ftp|wss?|file|data|javascript|vbscript|blob|about|mailto):|url\s*\(|@import"
    r"|image-set|\bon[a-z]+\s*=|srcdoc|http-equiv|(?<!style)(?<!class)\s*=\s*[\"']?\s*[a-z][a-z0-9+.-]*:",
)
# These make a page of what stands within or after them.
_ACTIVE = frozenset(
    ["script", "style", "iframe", "frame", "frameset", "object", "embed", "applet", "link", "meta", "base", "form", "svg", "math",
     "template", "xmp", "plaintext", "noscript", "portal"]
)  # fmt: skip


class Step(NamedTuple):
    """A decision: `size` characters are done with, and `text` goes out for them; then all is dropped up to where `drop` matches."""

    size: int
    text: str
    drop: re.Pattern[str] | None = None


def step_of(text: str, is_allowed: Callable[[str], bool], *, final: bool) -> Step | None:
    """What becomes of the `<` that `text` begins with: of an HTML tag, or of an address between angle brackets.

    None while more has to be seen. `is_allowed` judges `//host...`.
    """
    name = _NAME.match(text)
    if not name:  # a comment, say: what stands in it is looked at as if it stood outside
        return Step(1, "<") if final or text not in ("<", "</") else None
    tag = _AUTOLINK.match(text) or _TAG.match(text)
    if not tag and not final:
        return None
    if name[1].lower() in _ACTIVE:
        return Step(1, "< ")
    return (
        _of_tag(tag[0], name[1], is_allowed)
        if tag
        else Step(1, "< " if len(text) == HOLD or _STRANGE.search(text, 1) else "<")
    )


def _of_tag(tag: str, name: str, is_allowed: Callable[[str], bool]) -> Step:
    if _is_suspicious(tag[1:-1], is_allowed) or (":" in name and _HANDLER.search(tag)):
        return Step(len(tag), REMOVED)
    if _WHOLE.fullmatch(tag) and not _OF_TEXT.search(html.unescape(tag)):
        return Step(len(tag), tag)
    return Step(1, "< " if _STRANGE.search(tag, 1) else "<")


def _is_suspicious(content: str, is_allowed: Callable[[str], bool]) -> bool:
    rest = _URL.sub(lambda url: "" if is_allowed(url[1]) else url[0], content)
    plain = html.unescape(html.unescape(rest)).casefold()
    return _SUSPICIOUS.search(plain) is not None or _SUSPICIOUS.search(of_browser(rest)) is not None


def of_browser(text: str) -> str:
    """As a browser reads an address: entities resolved, blanks and characters without width left out, lower case."""
    return re.sub(rf"[\x00-\x20`{UNSEEN}]", "", html.unescape(html.unescape(text))).casefold()
