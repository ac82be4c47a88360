"""How fast: many passages in one index, made by the job and asked as the service does.

The texts are paragraphs of the sets' own documents, drawn anew: common words stay as common as they are, rare ones become less rare
than in documents that somebody wrote, which makes questions dearer. Vectors are random: time does not depend on what they say.
"""

import os
import random
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from rag.embedder import Embedder
from rag.ingest import Ingestion
from rag.search import Index, Query
from rag.store import Vectors

from benchmarks.retrieval.sets import Rows

Figures = dict[str, float]
_PIECES, _GROUPS = 50, 4  # passages of a file; folders, each of a group of its own
_CHARACTERS = 1000  # of a passage


class Random(Embedder):
    """A stand-in for an embedder that takes no time."""

    def __init__(self, dimension: int) -> None:
        super().__init__("nowhere", "random")
        self.dimension, self._random = dimension, np.random.default_rng(1)

    def texts(self, texts: Sequence[str]) -> Vectors:
        rows = self._random.standard_normal((len(texts), self.dimension), np.float32)
        unit: Vectors = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit

    def query(self, text: str) -> Vectors:
        row: Vectors = self.texts([text])[0]
        return row


def lay(folder: Path, corpus: Rows, passages: int) -> int:
    """Files of about as many passages as asked for; their bytes."""
    chance, size = random.Random(1), 0
    paragraphs = [part for row in corpus for part in row["text"].split("\n\n") if 80 < len(part) < _CHARACTERS]
    for number in range(passages // _PIECES):
        place = folder / f"group{number % _GROUPS}"
        if number < _GROUPS:
            place.mkdir(parents=True)
            (place / ".acl.yaml").write_text(f"groups: [g{number}, all]")
        parts, length = [f"# {chance.choice(corpus)['title']} {number}"], 0
        while length < _PIECES * _CHARACTERS:
            parts.append(chance.choice(paragraphs))
            length += len(parts[-1]) + 2
        size += (place / f"{number}.md").write_text("\n\n".join(parts), "utf-8")
    return size


def _spent() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def ingested(folder: Path, index: Path, dimension: int) -> Figures:
    """The job over a folder, once from nothing and once again unchanged; 0 dimensions: words alone."""
    embedder = Random(dimension) if dimension else None
    cpu, began = _spent(), time.perf_counter()
    report = Ingestion(folder, index, embedder).run()
    took, cpu = time.perf_counter() - began, _spent() - cpu
    again = time.perf_counter()
    kept = Ingestion(folder, index, embedder).run().kept
    again = time.perf_counter() - again
    if report.problems or kept != report.documents:
        raise RuntimeError(f"{len(report.problems)} files were left out, {kept} of {report.documents} taken over")
    return {
        "passages": report.passages, "seconds": took, "passages_a_second": report.passages / took, "cpu_seconds": cpu,
        "again_seconds": again, "megabytes": index.stat().st_size / 1e6,
    }  # fmt: skip


def asked(index: Path, questions: list[str], group: str, dimension: int) -> Figures:
    """Milliseconds of a question in the service, from what the gateway sends to what it gets."""
    service, embedder = Index(index), Random(dimension) if dimension else None
    queries = [
        Query(query=text, groups=[group], vector=embedder.query(text).tolist(), embedder=embedder.identity)
        if embedder
        else Query(query=text, groups=[group])
        for text in questions
    ]
    wanted = "vectors" if dimension else "words"
    if {service.search(query).by for query in queries[:3]} != {wanted}:
        raise RuntimeError(f"not answered by {wanted}")
    return _timed([lambda query=query: service.search(query) for query in queries])  # type: ignore[misc]


def _timed(works: list[Callable[[], object]]) -> Figures:
    wall, cpu = [], []
    for work in works:
        began, spent = time.perf_counter(), time.process_time()
        work()
        wall.append((time.perf_counter() - began) * 1000)
        cpu.append((time.process_time() - spent) * 1000)
    wall.sort()
    return {
        "p50_ms": statistics.median(wall), "p95_ms": wall[len(wall) * 95 // 100], "cpu_ms": statistics.median(cpu),
        "cores": os.cpu_count() or 1,
    }  # fmt: skip
