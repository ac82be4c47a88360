"""Of many vectors some axes tell which are compared whole (`rag/near.py`): are the ten nearest among those? Judged on real vectors."""

from unittest.mock import patch

import numpy as np
from rag import near
from rag.embedder import Embedder
from rag.passages import pieces

from benchmarks.retrieval.sets import Set

_AMONG = (100, 200, 1000)


def exact(found: list[Set], embedder: Embedder) -> dict[str, float]:
    """Share of the questions whose ten nearest passages, of all sets together, are among so many by the axes."""
    rows = np.concatenate([
        embedder.document(row["title"], [piece.text for piece in pieces([row["text"]]) or pieces([row["title"]])])
        for one in found
        for row in one.corpus
    ])  # fmt: skip
    questions = [embedder.query(text) for one in found for text in one.asked.values()]
    figures = {"passages": float(len(rows)), "questions": float(len(questions))}
    with patch.object(near, "_WHOLE", 0):
        store = near.Near(rows)
        for among in _AMONG:
            with patch.object(near, "_CANDIDATES", among):
                figures[f"among_{among}"] = sum(_is_exact(store, vector) for vector in questions) / len(questions)
    return figures


def _is_exact(store: near.Near, vector: near.Vectors) -> bool:
    ten = np.argsort(-(store.rows @ vector))[:10] + 1
    return bool(np.isin(ten, store.nearest(vector, [(1, len(store.rows))], np.zeros(0, np.int64)).ids).all())
