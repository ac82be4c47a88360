"""Small indexes made by the package's own writer, and documents of every kind made by the libraries that others use to make them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

os.environ.setdefault(
    "OPENBLAS_NUM_THREADS", "1"
)  # as in the image; read when numpy is first imported, by what follows

import pytest
from rag import words
from rag.ingest import Ingestion, Report
from rag.passages import pieces
from rag.ranking import search
from rag.reader import Reader
from rag.store import Document, Vectors, Writer

PACKAGE = Path(__file__).resolve().parents[2] / "compose" / "rag"
Make = Callable[..., Reader]


def document(
    path: str, text: str, groups: Iterable[str] = ("all",), *, title: str = "", vectors: Vectors | None = None
) -> Document:
    cut = tuple(pieces([text]))
    return Document(path, title or path, "0" * 64, words.language(text), frozenset(groups), cut, vectors)


@pytest.fixture
def store(tmp_path: Path) -> Make:
    """`store(documents...)`: an index that holds them."""

    def make(*documents: Document, embedder: str = "", dimension: int = 0) -> Reader:
        writer = Writer(tmp_path / "index.sqlite", embedder, dimension)
        for one in documents:
            writer.add(one)
        writer.close()
        return Reader(tmp_path / "index.sqlite")

    return make


@pytest.fixture(autouse=True)
def package(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that reads files finds the package as the tests do."""
    monkeypatch.setenv("PYTHONPATH", str(PACKAGE))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents/.acl.yaml").write_text("groups: [tous]\n")
    return tmp_path / "documents"


def ingest(folder: Path, **options: object) -> tuple[Report, Reader]:
    target = folder.parent / "index.sqlite"
    report = Ingestion(folder, target, **options).run()  # type: ignore[arg-type]
    return report, Reader(target)


def found(reader: Reader, text: str, group: str = "tous") -> list[str]:
    return [hit.passage.path for hit in search(reader, text, [group], 20)]
