"""Which vectors are nearest to a question's. Pure.

Few are all looked at. Of many, the axes that hold most of them (their mean among these: models' vectors point one way) tell which thousand
come into question, and those alone are compared whole: reading all numbers of all vectors is what takes the time.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rag.store import Vectors

Ids = npt.NDArray[np.int64]
_WHOLE = 8_000_000  # numbers that are read without a thought: about a millisecond
_AXES = 128
_CANDIDATES = 1000
_SAMPLE = 4096  # vectors that tell mean, spread and axes
_DOCUMENTS = 100  # that tell how near is usual
_FEWEST = 8  # of less documents nothing can be told


@dataclass(frozen=True)
class Nearest:
    """`ids` in order, and the `products` of their vectors; `mean` and `spread` of the products of all that were asked for."""

    ids: Ids
    products: Vectors
    mean: float = 0.0
    spread: float = 1.0

    def standard(self) -> Vectors:
        """The products in spreads from the mean."""
        return (self.products - np.float32(self.mean)) / np.float32(self.spread)


class Near:
    """`rows`: a vector for each id from 1."""

    def __init__(self, rows: Vectors) -> None:
        self.rows = rows
        self._axes = self._short = np.zeros((0, 0), np.float32)
        if rows.size > _WHOLE and rows.shape[1] > 2 * _AXES:
            sample = rows[:: max(len(rows) // _SAMPLE, 1)]
            self._axes = np.linalg.eigh(sample.T @ sample)[1][:, -_AXES:].T.astype(np.float32)
            self._short = rows @ self._axes.T

    def nearest(self, vector: Vectors, spans: Sequence[tuple[int, int]], also: Ids) -> Nearest:
        """Of the ids in these spans those that are nearest, and those of `also`."""
        total = sum(last - first + 1 for first, last in spans)
        if not total:
            return Nearest(np.zeros(0, np.int64), np.zeros(0, np.float32))
        step = max(total // _SAMPLE, 1)
        sample = np.concatenate([self.rows[first - 1 : last : step] @ vector for first, last in spans])
        ids = np.concatenate([np.arange(first, last + 1) for first, last in spans])
        if len(self._axes) and total * self.rows.shape[1] > _WHOLE:
            ids = np.union1d(ids[self._candidates(vector, spans)], also)
            products = self.rows[ids - 1] @ vector
        else:
            products = (
                sample if step == 1 else np.concatenate([self.rows[first - 1 : last] @ vector for first, last in spans])
            )
        return Nearest(ids, products, float(sample.mean()), float(sample.std()) or 1.0)

    def usual(self, documents: Sequence[tuple[int, int]]) -> tuple[float, float] | None:
        """How near documents (first and last id) are to the nearest of another: mean and spread of the products; None for too few.

        It depends on the model as much as on the documents, and so makes what is near comparable between models.
        """
        places = np.linspace(0, len(documents) - 1, min(len(documents), _DOCUMENTS)).astype(int)
        chosen = [documents[place] for place in places]
        if not self.rows.size or len(chosen) < _FEWEST:
            return None
        products = self.rows @ self.rows[[first - 1 for first, _ in chosen]].T
        for column, (first, last) in enumerate(chosen):
            products[first - 1 : last, column] = -np.inf
        best = products.max(axis=0)
        return float(best.mean()), float(best.std()) or 1.0

    def _candidates(self, vector: Vectors, spans: Sequence[tuple[int, int]]) -> Ids:
        """Places among all ids of the spans."""
        short = self._axes @ vector
        products = np.concatenate([self._short[first - 1 : last] @ short for first, last in spans])
        places: Ids = np.argpartition(-products, _CANDIDATES)[:_CANDIDATES]
        return places
