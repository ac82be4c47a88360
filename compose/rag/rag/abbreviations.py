"""Short forms that a text explains: "commission d'accès (CADA)", "CADA (commission d'accès)". Pure.

By Schwartz and Hearst, A simple algorithm for identifying abbreviation definitions in biomedical text (2003): from its end, each letter of
the short form is found in the long one, the first at the beginning of a word.
"""

import re
from collections.abc import Iterator

_SHORT = re.compile(r"[A-Z](?=.*[A-Z])[A-Za-z0-9&.-]{1,9}")
_IN_BRACKETS = re.compile(r"\(([^()]{2,60})\)")
_BEFORE = 200  # characters before a bracket that a long form may take


def found(text: str) -> Iterator[tuple[str, str]]:
    """Short and long form of each explanation, as they are written."""
    for bracket in _IN_BRACKETS.finditer(text):
        inside = bracket[1].strip()
        before = text[max(bracket.start() - _BEFORE, 0) : bracket.start()].split()
        if _SHORT.fullmatch(inside):
            yield from _pair(inside, " ".join(before[-min(len(inside) + 5, 2 * len(inside)) :]))
        elif before and _SHORT.fullmatch(before[-1]):
            yield from _pair(before[-1], inside, is_whole=True)


def _pair(short: str, text: str, *, is_whole: bool = False) -> Iterator[tuple[str, str]]:
    start = _start(short, text)
    if start is not None and " " in text[start:] and not (is_whole and start):
        yield short, text[start:]


def _start(short: str, text: str) -> int | None:
    """Where in the text the long form begins."""
    place = len(text)
    for number, letter in reversed(list(enumerate(short.casefold()))):
        if not letter.isalnum():
            continue
        place -= 1
        while place >= 0 and (text[place].casefold() != letter or (number == 0 and text[place - 1 : place].isalnum())):
            place -= 1
        if place < 0:
            return None
    return place
