"""What the service has done and what there is to search, as figures alone: nothing of a question, a document or a group is among them."""

from typing import Any

import orjson

from rag.search import Index
from rag.store import StoreError

OUTCOMES = ("vectors", "words", "refused", "failed")  # what found the passages, or why there are none


class Figures:
    """Of one process, since its start."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._questions = dict.fromkeys(OUTCOMES, 0)
        self._seconds = 0.0

    def count(self, outcome: str, seconds: float) -> None:
        """Count a question that is over."""
        self._questions[outcome] += 1
        self._seconds += seconds

    def line(self) -> bytes:
        """All of them as JSON, some hundred bytes; `ready` is false, and alone, while the index cannot be read."""
        try:
            status = self._index.status()
        except StoreError:
            return orjson.dumps({"ready": False})
        found: dict[str, Any] = {
            "ready": True, "documents": status.documents, "passages": status.passages, "index": self._index.changed,
            "questions": self._questions, "seconds": round(self._seconds, 6),
        }  # fmt: skip
        return orjson.dumps(found)
