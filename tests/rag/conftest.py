"""Small indexes made by the package's own writer, and documents of every kind made by the libraries that others use to make them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from rag import words
from rag.passages import pieces
from rag.reader import Reader
from rag.store import Document, Vectors, Writer

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
