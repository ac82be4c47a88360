"""How good the retrieval is: a corpus with questions whose right documents are known, in the form of BEIR's sets.

CORPUS: lines of `{"_id", "title", "text"}`. QUERIES: lines of `{"_id", "text"}`. QRELS: `query TAB document TAB score`; a head line may be.
A question whose every score is 0 has no answer in the corpus: from these comes what a threshold of `sure` (`rag/ranking.py`) would do.
"""

import csv
import json
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rag import words
from rag.embedder import Embedder
from rag.passages import pieces
from rag.ranking import DEPTH, Told, by_stems, by_words, search
from rag.reader import Reader
from rag.store import Document, Vectors, Writer

_EVERYBODY = frozenset({"everybody"})
_AT = (1, 5, 10)
_SUPPLIED = 5  # passages to an answer, as the gateway asks for
_SILENT = (0.0, 0.02, 0.05, 0.1, 0.2)


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


@dataclass(frozen=True)
class Threshold:
    """`silent`: share of the questions with an answer that are below `sure`; `spoken`: of those without one that are not."""

    sure: float
    silent: float
    spoken: float

    def line(self) -> str:
        """For people."""
        return (
            f"sure >= {self.sure:.3f}  {self.silent:.1%} without their answer, {self.spoken:.1%} answered without one"
        )


@dataclass(frozen=True)
class Judgement:
    """`scores`: of each index alone and of all together; `thresholds`: none without questions that have no answer."""

    scores: list[Score]
    thresholds: list[Threshold]


def evaluate(corpus: Path, queries: Path, qrels: Path, embedder: Embedder | None = None) -> Judgement:
    """Ask all questions. Raise ValueError for files of another form, OSError, EmbedderError."""
    right = _qrels(qrels)
    texts = {row["_id"]: row["text"] for row in _lines(queries) if row["_id"] in right}
    asked = [(number, text) for number, text in texts.items() if right[number]]
    if not asked:
        raise ValueError(f"{queries}: no question that {qrels} knows")
    with tempfile.TemporaryDirectory(prefix="rag-eval-") as folder:
        store = _stored(Path(folder) / "index", corpus, embedder)
        vectors = {number: embedder.query(text) for number, text in texts.items()} if embedder else {}
        try:
            scores = [_score(name, list_of, asked, right) for name, list_of in _lists(store, vectors).items()]
            sure = {number: _sure(store, text, vectors.get(number)) for number, text in texts.items()}
        finally:
            store.close()
    return Judgement(scores, _thresholds(sure, right))


def _sure(store: Reader, text: str, vector: Vectors | None) -> float:
    return max((hit.sure for hit in search(store, text, _EVERYBODY, _SUPPLIED, vector)), default=0.0)


def _thresholds(sure: dict[str, float], right: dict[str, set[str]]) -> list[Threshold]:
    """The highest threshold at which no more than each of `_SILENT` goes without an answer, and what it lets through."""
    with_one = sorted(value for number, value in sure.items() if right[number])
    without = [value for number, value in sure.items() if not right[number]]
    values = {with_one[int(share * len(with_one))] for share in _SILENT} if without else set()
    return [
        Threshold(value, _mean(one < value for one in with_one), _mean(one >= value for one in without))
        for value in sorted(values)
    ]


def _mean(those: Iterable[bool]) -> float:
    found = list(those)
    return sum(found) / len(found)


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
            right.setdefault(row[0], set()).update([row[1]] if int(row[2]) > 0 else [])
    return right


def _stored(path: Path, corpus: Path, embedder: Embedder | None) -> Reader:
    writer = Writer(path, embedder.identity if embedder else "", len(embedder.query("dimension")) if embedder else 0)
    for row in _lines(corpus):
        title, text = row.get("title", ""), row["text"]
        cut = tuple(pieces([text])) or tuple(pieces([title]))
        vectors = embedder.document(title, [piece.text for piece in cut]) if embedder else None
        writer.add(Document(row["_id"], title, "", words.language(f"{title} {text}"), _EVERYBODY, cut, vectors))
    writer.close()
    return Reader(path)


def _lists(store: Reader, vectors: dict[str, Vectors]) -> dict[str, Callable[[str, str], Iterable[str]]]:
    """What each index alone, and all together, give for a question: paths, best first."""

    def ranked(by: Callable[[Reader, list[str], frozenset[str]], Told]) -> Callable[[str, str], Iterable[str]]:
        return lambda number, text: (
            found.path for found in store.texts(by(store, words.question(text), _EVERYBODY).best().tolist(), _EVERYBODY)
        )

    def together(number: str, text: str) -> Iterable[str]:
        return (hit.passage.path for hit in search(store, text, _EVERYBODY, DEPTH, vectors.get(number)))

    lists = {"words": ranked(by_words), "stems": ranked(by_stems)}
    if vectors:
        lists["vectors"] = lambda number, text: _near(store, vectors[number])
    return lists | {"fused": together}


def _near(store: Reader, vector: Vectors) -> Iterable[str]:
    found = store.nearest(vector, _EVERYBODY, np.zeros(0, np.int64))
    best = found.ids[(-found.products).argsort(kind="stable")[:DEPTH]]
    return (found.path for found in store.texts(best.tolist(), _EVERYBODY))


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
