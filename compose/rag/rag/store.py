"""The index as it is written: passages, two word indexes, vectors and who may see what, in one file that is then only read.

An audience is a set of groups that occurs; every document has one, and every question is asked for the audiences that its groups are in.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rag import abbreviations, words

FORMAT = "2"
MADE = "title over each piece"  # how texts were embedded: vectors of another way are served on, but not taken over
INDEXES = ("words", "stems")
Vectors = npt.NDArray[np.float32]
_BLOCK = 1024  # rows of vectors in one blob
# Of a word it is enough to know which passages have it, and which in their title: no places, no lengths.
_WORDS = "fts5(title, text, content='', columnsize=0, detail=column, tokenize='unicode61 remove_diacritics 2')"
_SCHEMA = f"""
CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE audiences(id INTEGER NOT NULL, name TEXT NOT NULL, PRIMARY KEY(name, id)) WITHOUT ROWID;
CREATE TABLE documents(id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, title TEXT NOT NULL, sha256 TEXT NOT NULL, language TEXT NOT NULL,
  audience INTEGER NOT NULL);
CREATE TABLE passages(id INTEGER PRIMARY KEY, document INTEGER NOT NULL REFERENCES documents, audience INTEGER NOT NULL,
  page INTEGER NOT NULL, start INTEGER NOT NULL, stop INTEGER NOT NULL, text TEXT NOT NULL);
CREATE INDEX passages_of_document ON passages(document);
CREATE TABLE abbreviations(word TEXT NOT NULL, short TEXT NOT NULL, long TEXT NOT NULL, audience INTEGER NOT NULL, times INTEGER NOT NULL,
  PRIMARY KEY(word, short, long, audience)) WITHOUT ROWID;
CREATE VIRTUAL TABLE words USING {_WORDS};
CREATE VIRTUAL TABLE stems USING {_WORDS};
CREATE TABLE vectors(block INTEGER PRIMARY KEY, rows BLOB NOT NULL);
"""


class StoreError(Exception):
    """A file that is no index of this program, or not whole."""


@dataclass(frozen=True)
class Piece:
    """A passage before it is stored: page from 1, and its span in the page's text, in characters."""

    page: int
    start: int
    stop: int
    text: str


@dataclass(frozen=True)
class Document:
    """What is stored of a file. `groups`: who may see it; nobody for the empty set. `vectors`: as `Embedder.document` makes them."""

    path: str
    title: str
    sha256: str
    language: str
    groups: frozenset[str]
    pieces: tuple[Piece, ...]
    vectors: Vectors | None = None


@dataclass(frozen=True)
class Found:
    """A stored passage."""

    id: int
    path: str
    title: str
    sha256: str
    page: int
    start: int
    stop: int
    text: str


@dataclass
class Writer:
    """Fills a new index. `embedder` names the model of the vectors ("" for none), `dimension` their length.

    Documents of one audience are best added one after another: a question reads the word indexes once for each such stretch.
    """

    path: Path
    embedder: str = ""
    dimension: int = 0
    _audiences: dict[frozenset[str], int] = field(default_factory=dict)
    _vectors: list[Vectors] = field(default_factory=list)
    _explained: Counter[tuple[str, str, int]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.path.unlink(missing_ok=True)
        self._base = sqlite3.connect(self.path, isolation_level=None)
        self._base.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA page_size=8192;" + _SCHEMA)
        self._base.execute("BEGIN")

    def add(self, document: Document) -> None:
        """Store a document with all its passages. Raise StoreError for vectors that do not fit."""
        self._check(document)
        audience = self._audience(document.groups)
        values = (document.path, document.title, document.sha256, document.language, audience)
        row = self._base.execute(
            "INSERT INTO documents(path, title, sha256, language, audience) VALUES(?, ?, ?, ?, ?)", values
        ).lastrowid
        stemmed = words.stems(document.title, document.language)
        for piece in document.pieces:
            self._add(row, audience, document, piece, stemmed)
        self._explained.update((*pair, audience) for pair in _explained(document))
        if document.vectors is not None:
            self._vectors.append(document.vectors)

    def _check(self, document: Document) -> None:
        wanted = (len(document.pieces), self.dimension) if self.dimension else None
        found = None if document.vectors is None else document.vectors.shape
        if found != wanted:
            raise StoreError(f"{document.path}: vectors of another shape: {found}, wanted {wanted}")

    def _add(self, row: int | None, audience: int, document: Document, piece: Piece, stemmed: str) -> None:
        number = self._base.execute(
            "INSERT INTO passages(document, audience, page, start, stop, text) VALUES(?, ?, ?, ?, ?, ?)",
            (row, audience, piece.page, piece.start, piece.stop, piece.text),
        ).lastrowid
        insert = "INSERT INTO {}(rowid, title, text) VALUES(?, ?, ?)"
        self._base.execute(insert.format("words"), (number, document.title, piece.text))
        self._base.execute(insert.format("stems"), (number, stemmed, words.stems(piece.text, document.language)))

    def _audience(self, groups: frozenset[str]) -> int:
        number = self._audiences.setdefault(groups, len(self._audiences) + 1)
        rows = [(number, name) for name in groups]
        self._base.executemany("INSERT OR IGNORE INTO audiences(id, name) VALUES(?, ?)", rows)
        return number

    def close(self) -> None:
        """Finish the file: whole, ordered, flushed to the disk."""
        self._write_vectors()
        rows = [
            (word, short, long, audience, times)
            for (short, long, audience), times in self._explained.items()
            for word in [short, *words.both_stems(max(long.split(), key=len))]
        ]
        self._base.executemany("INSERT OR IGNORE INTO abbreviations VALUES(?, ?, ?, ?, ?)", rows)
        meta = {"format": FORMAT, "embedder": self.embedder, "dimension": str(self.dimension), "made": MADE}
        self._base.executemany("INSERT INTO meta VALUES(?, ?)", meta.items())
        for index in INDEXES:
            self._base.execute(f"INSERT INTO {index}({index}) VALUES('optimize')")
        self._base.execute("COMMIT")
        self._base.executescript("PRAGMA synchronous=FULL; VACUUM;")
        self._base.close()

    def _write_vectors(self) -> None:
        rows = np.concatenate(self._vectors) if self._vectors else np.zeros((0, self.dimension), np.float32)
        for number, start in enumerate(range(0, len(rows), _BLOCK)):
            block = np.ascontiguousarray(rows[start : start + _BLOCK], dtype="<f4").tobytes()
            self._base.execute("INSERT INTO vectors VALUES(?, ?)", (number, block))


def _explained(document: Document) -> Iterable[tuple[str, str]]:
    """Each short form, folded and of letters and digits alone (S.N.C.F. is SNCF), with the telling words of its long form."""
    texts = [document.title, *(piece.text for piece in document.pieces)]
    pairs = {
        ("".join(words.of(short)), " ".join(words.question(long)))
        for text in texts
        for short, long in abbreviations.found(text)
    }
    return ((short, long) for short, long in pairs if " " in long)
