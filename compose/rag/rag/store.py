"""The index: one SQLite file, written once, then only read. Passages, two word indexes, vectors, and who may see what.

An audience is a set of groups that occurs; every document has one, and every question is asked for the audiences that its groups are in.
That condition stands in the one statement that each word index is read by, and in the one that gives texts.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rag import words

FORMAT = "1"
MADE = "title over each piece"  # how texts were embedded: vectors of another way are served on, but not taken over
INDEXES = ("words", "stems")
Vectors = npt.NDArray[np.float32]
_BLOCK = 1024  # rows of vectors in one blob
_TITLE_WEIGHT, _TEXT_WEIGHT = 3.0, 1.0
_ROWS = 5000  # passages that a word index looks at for one question: each takes a microsecond or two
_MAPPED = 1 << 30
_SCHEMA = """
CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE audiences(id INTEGER NOT NULL, name TEXT NOT NULL, PRIMARY KEY(name, id)) WITHOUT ROWID;
CREATE TABLE documents(id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, title TEXT NOT NULL, sha256 TEXT NOT NULL, language TEXT NOT NULL,
  audience INTEGER NOT NULL);
CREATE TABLE passages(id INTEGER PRIMARY KEY, document INTEGER NOT NULL REFERENCES documents, audience INTEGER NOT NULL,
  page INTEGER NOT NULL, start INTEGER NOT NULL, stop INTEGER NOT NULL, text TEXT NOT NULL);
CREATE INDEX passages_of_document ON passages(document);
CREATE VIRTUAL TABLE words USING fts5(title, text, content='', tokenize='unicode61 remove_diacritics 2');
CREATE VIRTUAL TABLE stems USING fts5(title, text, content='', tokenize='unicode61 remove_diacritics 2');
CREATE TABLE vectors(block INTEGER PRIMARY KEY, rows BLOB NOT NULL);
"""
_SEEN = "audience IN (SELECT id FROM audiences WHERE name IN (SELECT value FROM json_each(:groups)))"
_RANKED = """
SELECT passages.id FROM {index} JOIN passages ON passages.id = {index}.rowid
WHERE {index} MATCH :terms AND passages.{seen} ORDER BY bm25({index}, {title}, {text}), passages.id LIMIT :limit
"""
# Of these passages, those that have one of the terms.
_HAVING = """
SELECT passages.id FROM {index} JOIN passages ON passages.id = {index}.rowid
WHERE {index} MATCH :terms AND {index}.rowid IN (SELECT value FROM json_each(:ids)) AND passages.{seen}
"""
_TEXTS = """
SELECT passages.id, documents.path, documents.title, documents.sha256, page, start, stop, text
FROM passages JOIN documents ON documents.id = passages.document
WHERE passages.id IN (SELECT value FROM json_each(:ids)) AND passages.{seen}
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
    """Fills a new index. `embedder` names the model of the vectors ("" for none), `dimension` their length."""

    path: Path
    embedder: str = ""
    dimension: int = 0
    _audiences: dict[frozenset[str], int] = field(default_factory=dict)
    _vectors: list[Vectors] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.path.unlink(missing_ok=True)
        self._base = sqlite3.connect(self.path, isolation_level=None)
        self._base.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA page_size=8192;" + _SCHEMA)
        self._base.execute("BEGIN")

    def add(self, document: Document) -> None:
        """Store a document with all its passages. Raise StoreError for vectors that do not fit."""
        self._check(document)
        values = (document.path, document.title, document.sha256, document.language, self._audience(document.groups))
        row = self._base.execute(
            "INSERT INTO documents(path, title, sha256, language, audience) VALUES(?, ?, ?, ?, ?)", values
        ).lastrowid
        stemmed = words.stems(document.title, document.language)
        for piece in document.pieces:
            self._add(row, values[-1], document, piece, stemmed)
        if document.vectors is not None:
            self._vectors.append(document.vectors)

    def _check(self, document: Document) -> None:
        wanted = (len(document.pieces), self.dimension) if self.dimension else None
        found = None if document.vectors is None else document.vectors.shape
        if found != wanted:
            raise StoreError(f"{document.path}: vectors of another shape: {found}, wanted {wanted}")

    def _add(self, row: int | None, audience: Any, document: Document, piece: Piece, stemmed: str) -> None:
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


def any_of(terms: Iterable[str]) -> str:
    """An FTS5 expression for one of the terms. Quoted: nothing of them is syntax."""
    return " OR ".join(f'"{term}"' for term in terms)


class Reader:
    """An index, opened immutable: no lock, no journal, nothing written. Raise StoreError when it is none."""

    def __init__(self, path: Path) -> None:
        try:
            self._base = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True, check_same_thread=False)
            self._base.execute(f"PRAGMA mmap_size = {_MAPPED}")  # a third less time than reading page by page
            self.meta: dict[str, str] = dict(self._base.execute("SELECT name, value FROM meta"))
            rows = self._base.execute("SELECT audience FROM passages ORDER BY id")
            self._audiences = np.array([row for (row,) in rows])
            self.documents, self.passages = self._count("documents"), len(self._audiences)
        except sqlite3.Error as error:
            raise StoreError(f"{path}: no index: {error}") from None
        if self.meta.get("format") != FORMAT:
            raise StoreError(f"{path}: an index of another form: {self.meta.get('format')}, wanted {FORMAT}")
        self.embedder, self.dimension = self.meta["embedder"], int(self.meta["dimension"])
        self.can_be_kept = not self.dimension or self.meta.get("made") == MADE
        self._vectors = self._read_vectors()
        if self.dimension and len(self._vectors) != self.passages:
            raise StoreError(f"{path}: not whole: {len(self._vectors)} vectors for {self.passages} passages")

    def _count(self, table: str) -> int:
        return int(self._base.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608  a name of this file

    def _read_vectors(self) -> Vectors:
        blocks = [blob for (blob,) in self._base.execute("SELECT rows FROM vectors ORDER BY block")]
        return np.frombuffer(b"".join(blocks), dtype="<f4").reshape(-1, max(self.dimension, 1))

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    def ranked(self, index: str, terms: Iterable[str], groups: Iterable[str], limit: int) -> list[int]:
        """Ids of the passages that a word index finds for these groups, best first."""
        if not (rarest := self._rarest(index, terms)):
            return []
        statement = _RANKED.format(index=index, seen=_SEEN, title=_TITLE_WEIGHT, text=_TEXT_WEIGHT)
        asked = {"terms": any_of(rarest), "groups": json.dumps(sorted(groups)), "limit": limit}
        return [row for (row,) in self._base.execute(statement, asked)]

    def _rarest(self, index: str, terms: Iterable[str]) -> list[str]:
        """The terms that tell most: as many of the rarest as make no more than _ROWS rows. A word of every second passage tells nothing."""
        statement = f"SELECT count(*) FROM {index} WHERE {index} MATCH ?"  # noqa: S608  a name of this file
        counted = sorted((int(self._base.execute(statement, (any_of([term]),)).fetchone()[0]), term) for term in terms)
        sums = accumulate(count for count, _ in counted)
        kept = [term for (count, term), rows in zip(counted, sums, strict=True) if count and rows <= _ROWS]
        return kept or [term for count, term in counted if count][:1]

    def having(self, index: str, terms: Iterable[str], ids: Iterable[int], groups: Iterable[str]) -> set[int]:
        """Which of these passages have one of the terms."""
        asked = {"terms": any_of(terms), "ids": json.dumps(list(ids)), "groups": json.dumps(sorted(groups))}
        return {row for (row,) in self._base.execute(_HAVING.format(index=index, seen=_SEEN), asked)}

    def nearness(self, vector: Vectors, groups: Iterable[str]) -> tuple[npt.NDArray[np.int64], Vectors]:
        """Ids of all passages that these groups may see, and cosine of the title plus cosine of the text, for each."""
        statement = "SELECT DISTINCT id FROM audiences WHERE name IN (SELECT value FROM json_each(?))"
        allowed = [row for (row,) in self._base.execute(statement, (json.dumps(sorted(groups)),))]
        seen = np.flatnonzero(np.isin(self._audiences, allowed))
        return seen + 1, (self._vectors if len(seen) == self.passages else self._vectors[seen]) @ vector

    def texts(self, ids: Sequence[int], groups: Iterable[str]) -> list[Found]:
        """These passages in this order, without those that the groups may not see."""
        asked = {"ids": json.dumps([int(row) for row in ids]), "groups": json.dumps(sorted(groups))}
        found = {row[0]: Found(*row) for row in self._base.execute(_TEXTS.format(seen=_SEEN), asked)}
        return [found[row] for row in ids if row in found]

    def contents(self) -> dict[str, str]:
        """SHA-256 of every document by its path."""
        return dict(self._base.execute("SELECT path, sha256 FROM documents"))

    def document(self, path: str, groups: frozenset[str]) -> Document:
        """What is stored of a file, for other groups than before. Raise KeyError."""
        statement = "SELECT id, title, sha256, language FROM documents WHERE path = ?"
        if (row := self._base.execute(statement, (path,)).fetchone()) is None:
            raise KeyError(path)
        number, title, sha256, language = row
        statement = "SELECT id, page, start, stop, text FROM passages WHERE document = ? ORDER BY id"
        rows = self._base.execute(statement, (number,)).fetchall()
        vectors = self._vectors[[row[0] - 1 for row in rows]] if self.dimension else None
        return Document(path, title, sha256, language, groups, tuple(Piece(*row[1:]) for row in rows), vectors)
