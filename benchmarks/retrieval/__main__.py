"""How well are documents found, by each list alone and by all, and how fast: `python -m benchmarks.retrieval` (README.md). Prints JSON."""

import argparse
import contextlib
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rag.embedder import Embedder
from rag.evaluate import evaluate

from benchmarks.retrieval import embedding, speed
from benchmarks.retrieval.exact import exact
from benchmarks.retrieval.sets import Set, sets


def quality(found: list[Set], embedder: Embedder | None) -> dict[str, Any]:
    """Each set, by words alone and with vectors, with what thresholds would do."""
    figures = {}
    for one in found:
        with tempfile.TemporaryDirectory(prefix="retrieval-") as folder:
            files = one.written(Path(folder))
            by_words, by_vectors = evaluate(*files), evaluate(*files, embedder) if embedder else None
        figures[one.name] = {
            "documents": len(one.corpus), "questions": sum(map(bool, one.right.values())),
            "without_an_answer": sum(not right for right in one.right.values()),
            "words": asdict(by_words), "vectors": by_vectors and asdict(by_vectors),
        }  # fmt: skip
    return figures


def time_of(found: list[Set], passages: int) -> dict[str, Any]:
    """One index of so many passages for each kind of vectors (none, E5's, bge-m3's): the job, then questions of two keys."""
    corpus = [row for one in found for row in one.corpus]
    questions = [text for one in found for text in one.asked.values()]
    figures = {}
    with tempfile.TemporaryDirectory(prefix="retrieval-") as name:
        folder, index = Path(name), Path(name) / "index.sqlite"
        size = speed.lay(folder / "documents", corpus, passages)
        for dimension in (0, 384, 1024):
            index.unlink(missing_ok=True)
            made = speed.ingested(folder / "documents", index, dimension) | {"megabytes_of_text": size / 1e6}
            rows = {group: speed.asked(index, questions, group, dimension) for group in ("all", "g0")}
            figures[f"{dimension} numbers"] = {"job": made, "all passages": rows["all"], "a quarter": rows["g0"]}
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--faq", type=Path, help="a checkout of etalab-ia/piaf-ml")
    parser.add_argument(
        "--vectors", type=Path, default=embedding.SERVER.parents[1] / "vectors.sqlite", help="kept vectors"
    )
    parser.add_argument("--passages", type=int, nargs="*", default=[50_000], help="sizes of the index that is timed")
    given = parser.parse_args()
    found = sets(given.faq)
    with contextlib.ExitStack() as stack:
        embedder = stack.enter_context(embedding.serving(given.vectors)) if embedding.SERVER.exists() else None
        if embedder is None:
            print(
                f"vectors are left out: {embedding.SERVER} is absent, see benchmarks/retrieval/README.md",
                file=sys.stderr,
            )
        figures: dict[str, Any] = {"quality": quality(found, embedder)}
        if embedder:
            figures["ten nearest by axes"] = exact(found, embedder)
    figures["speed"] = {str(passages): time_of(found, passages) for passages in given.passages}
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
