"""How good the retrieval is: a corpus with questions whose right documents are known, in the form of BEIR's sets.

CORPUS: lines of `{"_id", "title", "text"}`. QUERIES: lines of `{"_id", "text"}`. QRELS: `query TAB document TAB score`; a head line may be.
"""

import csv
import json
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rag import words
from rag.embedder import Embedder
from rag.passages import pieces
from rag.ranking import DEPTH, search
from rag.store import Document, Reader, Vectors, Writer

_EVERYBODY = frozenset({"everybody"})
_AT = (1, 5, 10)


@dataclass(frozen=True)
class Score:
    """`hits`: share of questions with a right document among the first 1, 5, 10; `mrr`: mean of 1/rank; `seconds`: median of a question."""

    name: str
    hits: tuple[float, ...]
    mrr: float
    seconds: float

    def line(self) -> str:
        """For people."""
        hits = "  ".join(f"hit@{at} {share:.3f}" for at, share in zip(_AT, self.hits, strict=True))
        return f"{self.name:8} {hits}  MRR {self.mrr:.3f}  {self.seconds * 1000:.1f} ms"


def evaluate(corpus: Path, queries: Path, qrels: Path, embedder: Embedder | None = None) -> list[Score]:
    """A score for each index alone and for all together. Raise ValueError for files of another form, OSError, EmbedderError."""
    right = _qrels(qrels)
    asked = [(row["_id"], row["text"]) for row in _lines(queries) if row["_id"] in right]
    if not asked:
        raise ValueError(f"{queries}: no question that {qrels} knows")
    with tempfile.TemporaryDirectory(prefix="rag-eval-") as folder:
        store = _stored(Path(folder) / "index", corpus, embedder)
        vectors = {number: embedder.query(text) for number, text in asked} if embedder else {}
        try:
            return [_score(name, list_of, asked, right) for name, list_of in _lists(store, vectors).items()]
        finally:
            store.close()


def _lines(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield json.loads(line)
            except ValueError:
                raise ValueError(f"{path}:{number}: not JSON") from None


def _qrels(path: Path) -> dict[str, set[str]]:
    right: dict[str, set[str]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.reader(file, delimiter="\t"):
            if len(row) < 3 or not row[2].strip().lstrip("-").isdigit():
                continue
            if int(row[2]) > 0:
                right.setdefault(row[0], set()).add(row[1])
    return right


def _stored(path: Path, corpus: Path, embedder: Embedder | None) -> Reader:
    writer = Writer(path, embedder.identity if embedder else "", len(embedder.query("dimension")) if embedder else 0)
    for row in _lines(corpus):
        title, text = row.get("title", ""), row["text"]
        cut = tuple(pieces([text])) or tuple(pieces([title]))
        found = embedder.texts([title, *(piece.text for piece in cut)]) if embedder else None
        vectors = None if found is None else found[1:] + found[:1]
        writer.add(Document(row["_id"], title, "", words.language(f"{title} {text}"), _EVERYBODY, cut, vectors))
    writer.close()
    return Reader(path)


def _lists(store: Reader, vectors: dict[str, Vectors]) -> dict[str, Callable[[str, str], Iterable[str]]]:
    """What each index alone, and all together, give for a question: paths, best first."""

    def ranked(index: str, match: Callable[[str], str]) -> Callable[[str, str], Iterable[str]]:
        return lambda number, text: (
            found.path for found in store.texts(store.ranked(index, match(text), _EVERYBODY, DEPTH), _EVERYBODY)
        )

    def together(number: str, text: str) -> Iterable[str]:
        return (hit.passage.path for hit in search(store, text, _EVERYBODY, DEPTH, vectors.get(number)))

    lists = {"words": ranked("words", words.match_words), "stems": ranked("stems", words.match_stems)}
    if vectors:
        lists["vectors"] = lambda number, text: _near(store, vectors[number])
    return lists | {"fused": together}


def _near(store: Reader, vector: Vectors) -> Iterable[str]:
    ids, cosines = store.nearness(vector, _EVERYBODY)
    best = [int(ids[place]) for place in (-cosines).argsort(kind="stable")[:DEPTH]]
    return (found.path for found in store.texts(best, _EVERYBODY))


def _score(
    name: str, list_of: Callable[[str, str], Iterable[str]], asked: list[tuple[str, str]], right: dict[str, set[str]]
) -> Score:
    ranks, times = [], []
    for number, text in asked:
        began = time.perf_counter()
        found = list(dict.fromkeys(list_of(number, text)))
        times.append(time.perf_counter() - began)
        ranks.append(next((rank for rank, path in enumerate(found, start=1) if path in right[number]), 0))
    hits = tuple(sum(0 < rank <= at for rank in ranks) / len(ranks) for at in _AT)
    return Score(name, hits, sum(1 / rank for rank in ranks if rank) / len(ranks), sorted(times)[len(times) // 2])
