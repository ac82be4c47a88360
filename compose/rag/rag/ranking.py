"""Which passages answer a question best: two word indexes and, when the question comes with its vector, nearness, in one order.

With a vector, what is near leads and the words add to it: the sum of the cosines of title and text, standardised over all passages
that the caller may see, plus 10/(10 + rank) of each word index. Without one, the ranks alone (reciprocal rank fusion).
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rag import words
from rag.store import INDEXES, Found, Reader, Vectors

DEPTH = 100  # passages that each list gives
_K = 10
_SHARE = 0.1  # of the words' share in what says how sure a nearness is
_NOTHING = (np.zeros(0, np.int64), np.zeros(0, np.float32))


@dataclass(frozen=True)
class Hit:
    """A passage and why it is here. `score` orders those of one question; `sure` can be compared between questions.

    With a vector `sure` is the mean cosine of title and text, and a tenth of the share of the question's words; without one that share.
    """

    passage: Found
    score: float
    sure: float


def search(store: Reader, text: str, groups: Iterable[str], limit: int, vector: Vectors | None = None) -> list[Hit]:
    """The best passages for these groups, at most `limit`."""
    groups = frozenset(groups)
    ids, cosines = _NOTHING if vector is None or not store.dimension else store.nearness(vector, groups)
    scores = _near(ids, cosines)
    for index, terms in zip(INDEXES, (words.question(text), words.question_stems(text)), strict=True):
        for rank, number in enumerate(store.ranked(index, terms, groups, DEPTH), start=1):
            scores[number] = scores.get(number, 0.0) + _K / (_K + rank)
    best = sorted(scores, key=lambda number: (-scores[number], number))[:limit]
    near = {number: float(cosines[ids.searchsorted(number)]) / 2 for number in best} if len(ids) else {}
    shares, weight = _shares(store, text, best, groups), _SHARE if near else 1.0
    return [
        Hit(found, scores[found.id], near.get(found.id, 0.0) + weight * shares[found.id])
        for found in store.texts(best, groups)
    ]


def _near(ids: npt.NDArray[np.int64], cosines: Vectors) -> dict[int, float]:
    if not len(ids):
        return {}
    spread = float(cosines.std()) or 1.0
    standard = (cosines - cosines.mean()) / spread
    best = np.argpartition(-standard, DEPTH)[:DEPTH] if len(standard) > DEPTH else range(len(standard))
    return {int(ids[place]): float(standard[place]) for place in best}


def _shares(store: Reader, text: str, ids: list[int], groups: frozenset[str]) -> dict[int, float]:
    """How much of the question each passage with its title has in it, by stems of either language."""
    asked = words.question(text)
    met = Counter(number for word in asked for number in store.having("stems", words.both_stems(word), ids, groups))
    return {number: met[number] / max(len(asked), 1) for number in ids}
