"""What is asked and what is answered, and the index behind it: opened anew when another has taken its place."""

import os
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from rag import ranking
from rag.reader import Reader

Group = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]


class Query(BaseModel):
    """A question: at most 2,000 characters, the groups of who asks, how many passages at most, its vector and the model that made it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    query: Annotated[str, Field(min_length=1, max_length=2000)]
    groups: Annotated[list[Group], Field(max_length=256)] = []
    limit: Annotated[int, Field(ge=1, le=20)] = 5
    vector: Annotated[list[Annotated[float, Field(allow_inf_nan=False)]], Field(max_length=4096)] = []
    embedder: Annotated[str, Field(max_length=256)] = ""


class Passage(BaseModel):
    """A piece of a document. `id` is what a citation names; `sure`: how sure it is that it is about the question (`rag/ranking.py`)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    title: str
    text: str
    path: str
    page: int
    start: int
    stop: int
    sure: float


class Answer(BaseModel):
    """Passages, best first, and what found them: "vectors" (with the words), or "words" alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    passages: list[Passage] = []
    by: str = "words"


class Status(BaseModel):
    """What there is to search. `embedder`: the model of the vectors, "" when words are all there is."""

    documents: int = 0
    passages: int = 0
    embedder: str = ""
    dimension: int = 0


class WrongVector(ValueError):
    """A vector of another length than those of the index."""


class Index:
    """The index file of this service, or none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: tuple[int, int] | None = None
        self._reader: Reader | None = None

    def _current(self) -> Reader | None:
        """Raise StoreError for a file that is no index; the one that was open before stays until a good one comes."""
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            return None
        if (found.st_ino, found.st_mtime_ns) != self._file:
            fresh = Reader(self._path)
            if self._reader:
                self._reader.close()
            self._reader, self._file = fresh, (found.st_ino, found.st_mtime_ns)
        return self._reader

    def search(self, query: Query) -> Answer:
        """The best passages first; a vector of another model than the index has counts as none. Raise StoreError, WrongVector."""
        if (reader := self._current()) is None:
            return Answer()
        vector = self._vector(query, reader)
        hits = ranking.search(reader, query.query, query.groups, query.limit, vector)
        return Answer(passages=[_passage(hit) for hit in hits], by="words" if vector is None else "vectors")

    def _vector(self, query: Query, reader: Reader) -> "np.ndarray | None":
        if not query.vector or not reader.dimension or query.embedder != reader.embedder:
            return None
        if len(query.vector) != reader.dimension:
            raise WrongVector(f"{len(query.vector)} numbers, the index has {reader.dimension}")
        vector = np.array(query.vector)
        with np.errstate(
            over="ignore"
        ):  # of numbers beyond reason nothing is left, rather than something that is no number
            return (vector / max(float(np.linalg.norm(vector)), 1e-9)).astype(np.float32)

    @property
    def changed(self) -> float:
        """When the index that is open was written, in seconds of UTC; 0 for none."""
        return self._file[1] / 1e9 if self._file else 0

    def status(self) -> Status:
        """Raise StoreError."""
        if (reader := self._current()) is None:
            return Status()
        return Status(
            documents=reader.documents, passages=reader.passages, embedder=reader.embedder, dimension=reader.dimension
        )


def _passage(hit: ranking.Hit) -> Passage:
    found = hit.passage
    span = {"page": found.page, "start": found.start, "stop": found.stop}
    return Passage(id=f"p{found.id}", title=found.title[:512], text=found.text, path=found.path, sure=hit.sure, **span)
