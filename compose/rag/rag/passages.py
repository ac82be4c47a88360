"""Text of pages to passages of a size that can be asked for: cut between paragraphs, then sentences, then words. Pure."""

import re
from collections.abc import Iterator, Sequence

from rag.store import Piece

CHARACTERS = 1200  # of a passage at most: about 300 tokens
OVERLAP = 150  # what a passage repeats of the one before it, where a paragraph had to be cut
# A passage may end after these, the best first. A blank line ends a paragraph; a line alone a heading or an item of a list.
_ENDS = (re.compile(r"\n\s*\n"), re.compile(r"\n"), re.compile(r"(?<=[.!?…:;])[\"'»)\]]*\s"), re.compile(r"\s"))


def pieces(pages: Sequence[str]) -> list[Piece]:
    """Passages of a document's pages, in order; none spans two pages, none is blank. Spans are in characters of the page's text."""
    return [piece for number, text in enumerate(pages, start=1) for piece in _of_page(text, number)]


def _of_page(text: str, number: int) -> Iterator[Piece]:
    start, end = _skip(text, 0), len(text.rstrip())
    while start < end:
        stop, is_paragraph = _stop(text, start)
        shown = text[start:stop].rstrip()
        yield Piece(number, start, start + len(shown), shown)
        following = stop if is_paragraph else max(_back(text, stop), start + 1)
        start = _skip(text, following if stop < end else len(text))


def _skip(text: str, start: int) -> int:
    while start < len(text) and text[start].isspace():
        start += 1
    return start


def _stop(text: str, start: int) -> tuple[int, bool]:
    """Where a passage that begins at `start` ends, and whether a paragraph ends there too."""
    limit = start + CHARACTERS
    if len(text) <= limit:
        return len(text), True
    for rank, end in enumerate(_ENDS):
        # The second half only: a passage of three words helps nobody.
        if found := list(end.finditer(text, start + CHARACTERS // 2, limit)):
            return found[-1].end(), rank == 0
    return limit, False


def _back(text: str, stop: int) -> int:
    """Where the next passage begins when a paragraph was cut at `stop`: at a sentence or a word within the overlap."""
    for end in _ENDS[2:]:
        if found := end.search(text, stop - OVERLAP, stop):
            return found.end() if found.end() < stop else stop
    return stop
