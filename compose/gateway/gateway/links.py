"""Takes remote addresses out of an answer, as it streams: what a client would show as an image, a link or a page's element.

An address may carry the conversation to whoever owns it, without a click when it is an image's. So each form in which Markdown or HTML
writes one is recognised, also escaped, and its address removed unless its host is allowed. From where such a form may begin the text is
held back until it is decided, at most HOLD characters: what is still open then is broken with a space.
"""

import html
import re
from collections.abc import Container
from typing import cast

from gateway.tags import HOLD, REMOVED, UNSEEN, Step, of_browser, step_of

_CONTEXT = 64  # characters before a trigger that a decision may look at

# `]` may end a Markdown link's text, `<` begin a tag, `://` and `www.` an address, also with Markdown's escapes; `&` may hide any of these.
_TRIGGER = re.compile(rf"<|\]|(?<=[:w{UNSEEN}])[/.\\]|&(?=[#A-Za-z]|\Z)", re.IGNORECASE)
_BRACKET = re.compile(rf"\](?:[{UNSEEN}]*([(:])|[ \t{UNSEEN}]+(\())?")  # to some readers blanks are nothing in between
_OPEN_BRACKET = re.compile(rf"\][ \t{UNSEEN}]*")
# A line may begin with the marks of a quotation, which are no part of what goes on there.
_TARGET = re.compile(rf"[\s>{UNSEEN}]*(<[^<>]*>|[^\s<)][^\s)]*|<[^<>]*\Z)?")
_JOINTS = re.compile(rf"\n[\s>]*|[\t\r`{UNSEEN}]")  # in what is written over several lines
_ENTITY = re.compile(r"&[#A-Za-z0-9]{1,12};")
_OPEN_ENTITY = re.compile(r"&[#A-Za-z0-9]{0,12}")
_SLASHES = re.compile(rf"[\\{UNSEEN}]*/[\\{UNSEEN}]*/")
_COLON, _WWW = re.compile(rf":[{UNSEEN}]*$"), re.compile(rf"www[{UNSEEN}]*$", re.IGNORECASE)
_WORD = re.compile(r"\S*")
_LEADING = re.compile(r"[/\\]{2}|(?:https?|ftp|wss?|file|data|javascript|vbscript|blob|mailto):")
_LETTER = re.compile(r"[^\W_]")
_OPEN_SLASHES = re.compile(rf"[\\{UNSEEN}]*/?[\\{UNSEEN}]*")
_ADDRESS_END = re.compile(r"[ \t\n\r\f]")
_EARLY = re.compile(r"//[^/?#]+[/?#]")  # an address whose host is complete
_AUTHORITY = re.compile(r"//([A-Za-z0-9.-]+)(?::\d{1,5})?(?:[/?#]|[)\]}\"'.,;:!?*_~`|]*(?:\Z|(?=[\s<])[^@]*\Z))")
# Where what was removed ends: an address in the text, the brackets of a link, a definition.
_AFTER_ADDRESS, _AFTER_BRACKETS, _AFTER_WORD = (
    re.compile(end) for end in (r"[\s<>\"'`)\]}|]", r"(?<=\))|\n", r"[\s<]")
)


def is_plain(text: str) -> bool:
    """Whether nothing in a whole text begins an address."""
    return _TRIGGER.search(text) is None


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
                return step_of(text, self._has_allowed_host, final=final)
            case "]":
                return self._bracket(text, final)
            case "/":
                return self._slash(text, before, final)
            case "\\" if not _WWW.search(before):
                return self._slash(text, before, final)
            case "&":
                return self._entity(text, before, final)
        return self._www(text, before, final)

    def _bracket(self, text: str, final: bool) -> Step | None:
        """`](`: the address of a link or an image; `]:` that of a definition elsewhere."""
        head = cast("re.Match[str]", _BRACKET.match(text))
        sign = head[1] or head[2]
        if sign is None:
            return None if _OPEN_BRACKET.fullmatch(text) and not final else Step(1, "]")
        target = cast("re.Match[str]", _TARGET.match(text, head.end()))
        stop = target.end()
        if sign == "(" and text[stop : stop + 1].isspace():  # some readers take more than a word
            stop = text.find(")", stop) if ")" in text[stop:] else len(text)
        if stop == len(text) and not final:
            return None  # more may come that belongs to it
        is_open = stop == len(text) and (target[1] is None or len(text) == HOLD)
        if is_open or (target[1] is None and text[stop : stop + 1] == "<"):
            return Step(head.end(), "] \\(" if sign == "(" else "] :")
        if self._may_stay((target[1] or "").strip("<>")) and self._is_idle(_joined(text[head.end() : stop])):
            return Step(head.end(), head[0])
        start = target.start(1) if target[1] else head.end()
        return Step(start, f"]{REMOVED}", _AFTER_BRACKETS if sign == "(" else _AFTER_WORD)

    def _slash(self, text: str, before: str, final: bool) -> Step | None:
        """`://`, of whatever scheme."""
        slashes = _SLASHES.match(text)
        if not _COLON.search(before):
            return Step(1, text[0])
        if not final and (_OPEN_SLASHES if not slashes else _SLASHES).fullmatch(text):
            return None
        if not slashes or text[slashes.end() :][:1] in ("", *" \t\n\r\f"):
            return Step(1, text[0])
        if text[slashes.end()] == "<":  # "http://<host>" is none, to some readers "http://<@host" is one
            return self._placeholder(text, slashes.end(), final)
        if slashes[0] != "//" or not re.search(r"(?<![A-Za-z0-9+.-])https?:$", before, re.IGNORECASE):
            return Step(slashes.end(), REMOVED, _AFTER_ADDRESS)
        return self._address(text, "", 2, final)

    def _placeholder(self, text: str, start: int, final: bool) -> Step | None:
        word = cast("re.Match[str]", _WORD.match(text, start))
        if word.end() == len(text) and not final:
            return None
        return Step(start, REMOVED) if "@" in word[0] else Step(start, text[:start])

    def _www(self, text: str, before: str, final: bool) -> Step | None:
        """`www.`, which many readers turn into a link."""
        size = 2 if text[0] == "\\" else 1
        if not _WWW.search(before):
            return Step(1, text[0])
        end = _ADDRESS_END.search(text)
        if len(text) <= size and not final:
            return None
        is_empty = (end or final) and not _LETTER.search(text[: end.start() if end else None])
        if is_empty or text[:size] not in (".", "\\."):
            return Step(1, text[0])
        if text[size : size + 1] == "<":
            return self._placeholder(text, size, final)
        return self._address(text, "//www", size, final)

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
        hidden = re.search(r"://|www\.", of_browser(word).replace("\\", "/"))
        return Step(1, REMOVED, _AFTER_WORD) if hidden else Step(1, "&")

    def _may_stay(self, target: str) -> bool:
        """Whether a link's address is of this place, or of a host that is allowed; with Markdown's escapes and without."""
        return all(
            self._is_harmless(of_browser(form)) for form in (target, re.sub(r"\\(?=[!-/:-@\[-`{-~])", "", target))
        )

    def _is_idle(self, joined: str) -> bool:
        """Of several words: whether they begin with what leads somewhere, or acts."""
        return self._is_harmless(joined) or not _LEADING.match(joined)

    def _is_harmless(self, plain: str) -> bool:
        scheme = re.match(r"([a-z][a-z0-9+.-]*):(.*)", plain, re.DOTALL)
        if scheme:
            return not scheme[2] or (scheme[1] in ("http", "https") and self._has_allowed_host(scheme[2]))
        return not re.match(r"[/\\]{2}", plain)

    def _has_allowed_host(self, address: str) -> bool:
        """`//host...`; anything unusual in it (an account, a backslash, an escape) is not allowed."""
        found = _AUTHORITY.match(address)
        return found is not None and found[1].lower().rstrip(".") in self._hosts


_OF_ADDRESS = frozenset(":/\\.wW")


def _joined(text: str) -> str:
    """The same of what is written over several lines: blanks within a line stay."""
    return _JOINTS.sub("", html.unescape(html.unescape(_JOINTS.sub("", text)))).strip().casefold()
