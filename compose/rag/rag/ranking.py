"""Which passages answer a question best: two word indexes and, when the question comes with its vector, nearness, in one order.

With a vector, what is near leads and the words add to it: the sum of the cosines of title and text, standardised over all passages
that the caller may see, plus 10/(10 + rank) of each word index. Without one, the ranks alone (reciprocal rank fusion).
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from rag import words
from rag.store import INDEXES, Found, Reader, Vectors

DEPTH = 100  # passages that each list gives
_K = 10


@dataclass(frozen=True)
class Hit:
    """A passage and why it is here. `score` orders those of one question; `share`: of the question's words, 0 to 1."""

    passage: Found
    score: float
    share: float


def search(store: Reader, text: str, groups: Iterable[str], limit: int, vector: Vectors | None = None) -> list[Hit]:
    """The best passages for these groups, at most `limit`."""
    groups = frozenset(groups)
    scores: dict[int, float] = {}
    if vector is not None and store.dimension:
        scores |= _near(store, vector, groups)
    for index, terms in zip(INDEXES, (words.match_words(text), words.match_stems(text)), strict=True):
        for rank, number in enumerate(store.ranked(index, terms, groups, DEPTH), start=1):
            scores[number] = scores.get(number, 0.0) + _K / (_K + rank)
    best = sorted(scores, key=lambda number: (-scores[number], number))[:limit]
    return [Hit(found, scores[found.id], _share(text, found)) for found in store.texts(best, groups)]


def _near(store: Reader, vector: Vectors, groups: frozenset[str]) -> dict[int, float]:
    ids, cosines = store.nearness(vector, groups)
    if not len(ids):
        return {}
    spread = float(cosines.std()) or 1.0
    standard = (cosines - cosines.mean()) / spread
    best = np.argsort(-standard, kind="stable")[:DEPTH]
    return {int(ids[place]): float(standard[place]) for place in best}


def _share(text: str, found: Found) -> float:
    """How much of the question a passage with its title has in it, by stems of either language."""
    asked = words.question(text)
    there = set(words.tokens(f"{found.title} {found.text}"))
    stemmed = {words.stem(word, name) for word in there for name in words.LANGUAGES}
    met = sum(any(words.stem(word, name) in stemmed for name in words.LANGUAGES) for word in asked)
    return met / len(asked) if asked else 0.0
