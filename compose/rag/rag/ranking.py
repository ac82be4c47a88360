"""Which passages answer a question best: two word indexes and, when the question comes with its vector, nearness, in one order.

What a word tells is its rarity among the passages that the caller may see (idf of BM25), and more in a title. With a vector the score is
the sum of three: how near title and text are, in spreads from the mean; the share of what the question's words tell; and the square of what
the stems tell, of the best one's. Without: reciprocal rank fusion of both indexes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from rag import words
from rag.near import Nearest
from rag.reader import Reader
from rag.store import Found, Vectors

DEPTH = 100  # passages that each list gives
_K = 10
_SHARE = 3.0  # spreads of nearness that the whole share of the words is worth in what says how sure a passage is
# What a word tells in the text, in the title, and in both: BM25 with k1 = 1.2, without lengths, a title counted thrice.
_TEXT, _TITLE, _BOTH = (2.2 * times / (times + 1.2) for times in (1, 3, 4))
_ROWS = 10_000  # passages that a word index looks at for one question
_MORE = 16  # words that abbreviations may add
Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Hit:
    """A passage and why it is here. `score` orders those of one question; `sure` can be compared between questions.

    With a vector: how near it is, beside how near documents are to each other (`Reader.nearness`), and thrice the share of what the
    question's words tell; without, that share.
    """

    passage: Found
    score: float
    sure: float


@dataclass(frozen=True)
class Told:
    """What words tell of each passage, by its id: `told` of title and text, `share` of all that the question's words tell."""

    told: Vectors
    share: Vectors

    def best(self) -> Ids:
        """Ids, best first, at most DEPTH."""
        ids = np.flatnonzero(self.told)
        order = np.lexsort((ids, -self.told[ids]))
        return ids[order[:DEPTH]]


def search(store: Reader, text: str, groups: Iterable[str], limit: int, vector: Vectors | None = None) -> list[Hit]:
    """The best passages for these groups, at most `limit`."""
    groups = frozenset(groups)
    asked = words.question(text)
    stems = by_stems(store, asked, groups)
    if vector is None or not store.dimension:
        ids, scores = _by_ranks([by_words(store, asked, groups), stems])
        sure = stems.share[ids]
    else:
        nearest = store.nearest(vector, groups, stems.best())
        ids, scores = nearest.ids, _by_nearness(nearest, stems)
        sure = store.nearness(nearest.products) + _SHARE * stems.share[ids]
    best = np.lexsort((ids, -scores))[:limit]
    of = {int(ids[place]): (float(scores[place]), float(sure[place])) for place in best}
    return [Hit(found, *of[found.id]) for found in store.texts(list(of), groups)]


def _by_nearness(nearest: Nearest, stems: Told) -> Vectors:
    told = stems.told[nearest.ids]
    scores: Vectors = nearest.standard() + stems.share[nearest.ids] + np.square(told / (stems.told.max() or 1.0))
    return scores


def _by_ranks(lists: Iterable[Told]) -> tuple[Ids, Vectors]:
    best = [found.best() for found in lists]
    ids = np.unique(np.concatenate(best))
    scores = np.zeros(len(ids), np.float32)
    for found in best:
        scores[ids.searchsorted(found)] += _K / (_K + np.arange(1, len(found) + 1, dtype=np.float32))
    return ids, scores


def by_words(store: Reader, asked: Sequence[str], groups: Iterable[str]) -> Told:
    """By the words as they are written."""
    return _told(store, "words", [[word] for word in asked], [], groups)


def by_stems(store: Reader, asked: Sequence[str], groups: Iterable[str]) -> Told:
    """By stems of either language, and those of the words that abbreviations stand for."""
    more = store.explained(asked, groups)[:_MORE]
    return _told(store, "stems", [words.both_stems(word) for word in asked], map(words.both_stems, more), groups)


def _told(
    store: Reader, index: str, asked: Sequence[list[str]], more: Iterable[list[str]], groups: Iterable[str]
) -> Told:
    """Of the rarest terms, as many as are in no more than _ROWS passages together: a word of every second one tells nothing."""
    terms = [*asked, *more]
    told, share = np.zeros((2, store.passages + 1), np.float32)
    counts = store.counts(index, terms, groups)
    kept = _rarest(counts)
    visible = sum(last - first + 1 for first, last in store.spans(groups))
    whole = 0.0
    for place, (in_text, in_title) in zip(
        kept, store.having(index, [terms[place] for place in kept], groups), strict=True
    ):
        weight = np.log1p((visible - counts[place] + 0.5) / (counts[place] + 0.5))
        is_both = np.isin(in_title, in_text, assume_unique=True)
        alone = in_title[~is_both]
        told[in_text] += _TEXT * weight
        told[alone] += _TITLE * weight
        told[in_title[is_both]] += (_BOTH - _TEXT) * weight
        if place < len(asked):
            whole += weight
            share[in_text] += weight
            share[alone] += weight
    return Told(told, share / np.float32(whole or 1.0))


def _rarest(counts: Sequence[int]) -> list[int]:
    """Places of the counts that make no more than _ROWS together, the smallest first; one at least."""
    order = sorted(range(len(counts)), key=lambda place: (counts[place], place))
    kept = [
        place for place, rows in zip(order, accumulate(counts[place] for place in order), strict=True) if rows <= _ROWS
    ]
    return kept or order[:1]
