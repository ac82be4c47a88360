"""Takes remote addresses out of an answer, as it streams: what a client would show as an image, a link or a page's element.

An address may carry the conversation to whoever owns it, without a click when it is an image's. So each form in which Markdown or HTML
writes one is recognised, also escaped, and its address removed unless its host is allowed. From where such a form may begin the text is
held back until it is decided, at most HOLD characters: what is still open then is broken with a space.
"""

import html
import re
from collections.abc import Container
from typing import NamedTuple, cast

HOLD = 384
REMOVED = " (link removed)"
_CONTEXT = 64  # characters before a trigger that a decision may look at

# `]` may end a Markdown link's text, `<` begin a tag, `://` and `www.` an address; `&` may hide any of their characters.
_TRIGGER = re.compile(r"<|\]|(?<=:)/|(?<=www)\.|&(?=[#A-Za-z]|\Z)", re.IGNORECASE)
_UNSEEN = (
    "\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff"  # characters without width: some readers drop them first
)
_BRACKET = re.compile(rf"\][{_UNSEEN}]*([(:])?")
_TARGET = re.compile(rf"[\s{_UNSEEN}]*(<[^<>]*>|[^\s<)][^\s)]*|<[^<>]*\Z)?")
_NAME = re.compile(r"<(?:!--|[/!?]?([A-Za-z][A-Za-z0-9:+.-]*))")
_TAG = re.compile(r"""<(?:[^>"']|"[^"]*"|'[^']*')*>""")
_ENTITY = re.compile(r"&[#A-Za-z0-9]{1,12};")
_OPEN_ENTITY = re.compile(r"&[#A-Za-z0-9]{0,12}")
_ADDRESS_END = re.compile(r"[\s<]")
_EARLY = re.compile(r"//[^/?#]+[/?#]")  # an address whose host is complete
_AUTHORITY = re.compile(r"//([A-Za-z0-9.-]+)(?::\d{1,5})?(?:[/?#]|[)\]}\"'.,;:!?*_~`|]*\Z)")
_URL = re.compile(r"""https?:(//[^\s"'<>]*)""", re.IGNORECASE)
_SUSPICIOUS = re.compile(
    r"//|\\\\|/\\|\\/|(?:^|[\s\"'=(,])(?:https?|ftp|wss?|file|data|javascript|vbscript|blob|about|mailto):|url\s*\(|@import"
    r"|image-set|\bon[a-z]+\s*=|srcdoc|http-equiv|(?<!style)(?<!class)\s*=\s*[\"']?\s*[a-z][a-z0-9+.-]*:",
)
# These make a page of what stands within or after them.
_ACTIVE = frozenset(
    ["script", "style", "iframe", "frame", "frameset", "object", "embed", "applet", "link", "meta", "base", "form", "svg", "math",
     "template", "xmp", "plaintext", "noscript", "portal"]
)  # fmt: skip
# Where what was removed ends: an address in the text, the brackets of a link, a definition.
_AFTER_ADDRESS, _AFTER_BRACKETS, _AFTER_WORD = (
    re.compile(end) for end in (r"[\s<>\"'`)\]}|]", r"(?<=\))|\n", r"[\s<]")
)


def is_plain(text: str) -> bool:
    """Whether nothing in a whole text begins an address."""
    return _TRIGGER.search(text) is None


class Step(NamedTuple):
    """A decision: `size` characters are done with, and `text` goes out for them; then all is dropped up to where `drop` matches."""

    size: int
    text: str
    drop: re.Pattern[str] | None = None


class Links:
    """One answer, piece by piece. `hosts` are the names whose addresses may stay."""

    def __init__(self, hosts: Container[str]) -> None:
        self._hosts = hosts
        self._held, self._before = "", ""
        self._drop: re.Pattern[str] | None = None

    def feed(self, text: str) -> str:
        """What may be given out now."""
        if not self._held and self._drop is None:
            seen = self._before + text
            if _TRIGGER.search(seen, len(self._before)) is None:  # nearly always
                self._before = seen[-_CONTEXT:]
                return text
        return self._run(self._held + text, whole=False)

    def flush(self) -> str:
        """The rest, at the end of the answer."""
        return self._run(self._held, whole=True) if self._held else ""

    def _run(self, data: str, *, whole: bool) -> str:
        if not data:
            return ""
        text, place, out = self._before + data, len(self._before), []
        while place < len(text):
            if self._drop is not None:
                found = self._drop.search(text, place)
                self._drop = None if found else self._drop
                place = found.start() if found else len(text)
                continue
            found = _TRIGGER.search(text, place)
            start = found.start() if found else len(text)
            out.append(text[place:start])
            place = start
            if not found:
                break
            window = text[start : start + HOLD]
            step = self._step(window, text[max(0, start - _CONTEXT) : start], whole or len(window) == HOLD)
            if step is None:
                break
            out.append(step.text)
            self._drop = step.drop
            place += step.size
        self._before, self._held = text[max(0, place - _CONTEXT) : place], text[place:]
        return "".join(out)

    def _step(self, text: str, before: str, final: bool) -> Step | None:
        """What becomes of the trigger that `text` begins with; None while more has to be seen."""
        match text[0]:
            case "<":
                return self._tag(text, final)
            case "]":
                return self._bracket(text, final)
            case "/":
                return self._slash(text, before, final)
            case "&":
                return self._entity(text, before, final)
        return self._www(text, before, final)

    def _tag(self, text: str, final: bool) -> Step | None:
        """`<`: an HTML tag, or an address between angle brackets."""
        name = _NAME.match(text)
        if not name:
            return Step(1, "<") if final or text not in ("<", "</", "<!", "<!-", "<?") else None
        if name[1] and ":" not in name[1] and name.end() < len(text) and text[name.end()] not in " \t\n\r\f/>":
            return Step(1, "<")
        tag = _TAG.match(text)
        if not tag:
            return Step(1, "< ") if final else None
        if name[1] and name[1].lower() in _ACTIVE:
            return Step(1, "< ")
        return Step(tag.end(), REMOVED if self._is_suspicious(tag[0][1:-1]) else tag[0])

    def _bracket(self, text: str, final: bool) -> Step | None:
        """`](`: the address of a link or an image; `]:` that of a definition elsewhere."""
        head = cast("re.Match[str]", _BRACKET.match(text))
        if head[1] is None:
            return Step(1, "]") if final or head.end() < len(text) else None
        target = cast("re.Match[str]", _TARGET.match(text, head.end()))
        if target.end() == len(text) and not final:
            return None  # more may come that belongs to it
        if target.end() == len(text) and (target[1] is None or len(text) == HOLD):
            return Step(head.end(), f"] {head[1]}")
        if self._may_stay((target[1] or "").strip("<>")):
            return Step(head.end(), head[0])
        return Step(target.start(1), f"]{REMOVED}", _AFTER_BRACKETS if head[1] == "(" else _AFTER_WORD)

    def _slash(self, text: str, before: str, final: bool) -> Step | None:
        """`://`, of whatever scheme."""
        if text in ("/", "//") and not final:
            return None
        if text[1:2] != "/" or text[2:3] == "" or text[2] in " \t\n\r\f<":
            return Step(1, "/")
        if not re.search(r"(?<![A-Za-z0-9+.-])https?:$", before, re.IGNORECASE):
            return Step(2, REMOVED, _AFTER_ADDRESS)
        return self._address(text, "", 2, final)

    def _www(self, text: str, before: str, final: bool) -> Step | None:
        """`www.`, which many readers turn into a link."""
        if re.search(r"[A-Za-z0-9]www$", before, re.IGNORECASE) or (len(text) > 1 and not text[1].isalnum()):
            return Step(1, ".")
        return self._address(text, "//www", 1, final) if len(text) > 1 or not final else Step(1, ".")

    def _address(self, text: str, start: str, size: int, final: bool) -> Step | None:
        """An address of which `start` belongs before `text`; its first `size` characters go or stay."""
        end = _ADDRESS_END.search(text)
        address = start + (text[: end.start()] if end else text)
        if not end and not final and not _EARLY.match(address):
            return None
        return Step(size, text[:size]) if self._has_allowed_host(address) else Step(size, REMOVED, _AFTER_ADDRESS)

    def _entity(self, text: str, before: str, final: bool) -> Step | None:
        """`&...;` in place of a character of an address: judged with the word it stands in."""
        entity = _ENTITY.match(text)
        if not entity:
            is_open = _OPEN_ENTITY.fullmatch(text) is not None
            return None if is_open and not final else Step(1, "&")
        if html.unescape(entity[0]) not in _OF_ADDRESS:
            return Step(1, "&")
        end = _AFTER_WORD.search(text)
        if not end and not final:
            return None
        word = re.split(r"\s", before)[-1] + (text[: end.start()] if end else text)
        hidden = re.search(r"://|www\.", _plain(word).replace("\\", "/"))
        return Step(1, REMOVED, _AFTER_WORD) if hidden else Step(1, "&")

    def _may_stay(self, target: str) -> bool:
        """Whether a link's address is of this place, or of a host that is allowed; with Markdown's escapes and without."""
        return all(self._is_harmless(_plain(form)) for form in (target, re.sub(r"\\(?=[!-/:-@\[-`{-~])", "", target)))

    def _is_harmless(self, plain: str) -> bool:
        scheme = re.match(r"([a-z][a-z0-9+.-]*):(.*)", plain, re.DOTALL)
        if scheme:
            return scheme[1] in ("http", "https") and self._has_allowed_host(scheme[2])
        return not re.match(r"[/\\]{2}", plain)

    def _has_allowed_host(self, address: str) -> bool:
        """`//host...`; anything unusual in it (an account, a backslash, an escape) is not allowed."""
        found = _AUTHORITY.match(address)
        return found is not None and found[1].lower().rstrip(".") in self._hosts

    def _is_suspicious(self, content: str) -> bool:
        rest = _URL.sub(lambda url: "" if self._has_allowed_host(url[1]) else url[0], content)
        plain = html.unescape(html.unescape(rest)).casefold()
        return _SUSPICIOUS.search(plain) is not None or _SUSPICIOUS.search(_plain(rest)) is not None


_OF_ADDRESS = frozenset(":/\\.wW")


def _plain(text: str) -> str:
    """As a browser reads an address: entities resolved, blanks and characters without width left out, lower case."""
    return re.sub(rf"[\x00-\x20{_UNSEEN}]", "", html.unescape(html.unescape(text))).casefold()
