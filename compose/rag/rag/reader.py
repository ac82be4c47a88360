"""The index as it is read: every statement that finds or gives a passage has the caller's groups inside.

What a caller gets, and in which order, depends on what its groups may see alone: counts of words, too, are of those passages. With vectors
two figures are of the whole index: how near its documents are to each other, and the axes by which a large one is looked through first.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rag import words
from rag.near import Near, Nearest
from rag.store import FORMAT, MADE, Document, Found, Piece, StoreError, Vectors

Ids = npt.NDArray[np.int64]
_FORMATS = ("1", FORMAT)  # the first explained no abbreviation; all else of it is there
_MAPPED = 1 << 30
_LONG_FORMS = 2  # of one short form: the most frequent ones
# Stretches of passages of one audience, found at opening: all that stand one after another are read at once.
_RUNS = """
PRAGMA temp_store = MEMORY;
CREATE TEMP TABLE runs AS SELECT audience, min(id) AS first, max(id) AS last
FROM (SELECT id, audience, id - row_number() OVER (PARTITION BY audience ORDER BY id) AS run FROM passages) GROUP BY audience, run;
"""
_NONE_EXPLAINED = "CREATE TEMP TABLE abbreviations(word TEXT, short TEXT, long TEXT, audience INTEGER, times INTEGER)"
_SEEN = "audience IN (SELECT id FROM audiences WHERE name IN (SELECT value FROM json_each(:groups)))"
# First and last id of each stretch that the caller may see, neighbours joined.
_STRETCHES = """
WITH seen(first, last) AS MATERIALIZED (
  SELECT min(first), max(last)
  FROM (SELECT first, last, last - sum(last - first + 1) OVER (ORDER BY first) AS stretch FROM runs WHERE {seen}) GROUP BY stretch)
"""
_SPANS = "{stretches} SELECT first, last FROM seen ORDER BY first"
_MATCHED = """{stretches}
SELECT (SELECT {what} FROM seen CROSS JOIN {index} WHERE {index} MATCH asked.value AND {index}.rowid BETWEEN seen.first AND seen.last)
FROM json_each(:asked) AS asked ORDER BY asked.key
"""
# The same, each passage looked up: for a caller of many stretches, since each of them costs as much as some thousand passages.
_LOOKED_UP = """
SELECT (SELECT {what} FROM {index} JOIN passages ON passages.id = {index}.rowid WHERE {index} MATCH asked.value AND passages.{seen})
FROM json_each(:asked) AS asked ORDER BY asked.key
"""
_MANY = 32  # stretches
_EXPLAINED = """
SELECT short, long FROM abbreviations WHERE word IN (SELECT value FROM json_each(:words)) AND {seen}
GROUP BY short, long ORDER BY sum(times) DESC, short, long LIMIT 64
"""
_TEXTS = """
SELECT passages.id, documents.path, documents.title, documents.sha256, page, start, stop, text
FROM passages JOIN documents ON documents.id = passages.document
WHERE passages.id IN (SELECT value FROM json_each(:ids)) AND passages.{seen}
"""


_DOCUMENTS = "SELECT min(id), max(id) FROM passages GROUP BY document"


def _statement(template: str, **names: str) -> str:
    return template.format(seen=_SEEN, stretches=_STRETCHES.format(seen=_SEEN), **names)


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
            if self.meta.get("format") not in _FORMATS:
                found = self.meta.get("format")
                raise StoreError(
                    f"{path}: an index of another form: {found}, wanted {FORMAT}: ingest the documents again"
                )
            self._base.executescript(_RUNS + ("" if self.meta["format"] == FORMAT else _NONE_EXPLAINED))
            self.documents, self.passages = self._count("documents"), self._count("passages")
            self.embedder, self.dimension = self.meta["embedder"], int(self.meta["dimension"])
            self._spans: dict[str, list[tuple[int, int]]] = {}  # of the caller that asked last
            self._near = Near(self._read_vectors())
            self._usual = self._near.usual(self._base.execute(_DOCUMENTS).fetchall())
        except sqlite3.Error as error:
            raise StoreError(f"{path}: no index: {error}") from None
        self.can_be_kept = not self.dimension or self.meta.get("made") == MADE
        if self.dimension and len(self._near.rows) != self.passages:
            raise StoreError(f"{path}: not whole: {len(self._near.rows)} vectors for {self.passages} passages")

    def _count(self, table: str) -> int:
        return int(self._base.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608  a name of this file

    def _read_vectors(self) -> Vectors:
        """Block by block into their place: they are most of the memory of the service."""
        length = int(self._base.execute("SELECT coalesce(sum(length(rows)), 0) FROM vectors").fetchone()[0])
        rows, done = np.empty(length // 4, dtype="<f4"), 0
        for (blob,) in self._base.execute("SELECT rows FROM vectors ORDER BY block"):
            block = np.frombuffer(blob, dtype="<f4")
            rows[done : done + len(block)] = block
            done += len(block)
        return rows.reshape(-1, max(self.dimension, 1))

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    def spans(self, groups: Iterable[str]) -> list[tuple[int, int]]:
        """First and last id of each stretch of passages that these groups may see."""
        asked = _json(groups)
        if (found := self._spans.get(asked)) is None:  # an index does not change, and each question asks several times
            found = self._base.execute(_statement(_SPANS), {"groups": asked}).fetchall()
            self._spans = {asked: found}
        return found

    def counts(self, index: str, terms: Sequence[Sequence[str]], groups: Iterable[str]) -> list[int]:
        """In how many passages for these groups each term is; a term is a list of forms."""
        return [int(found) for found in self._matched(index, "count(*)", map(any_of, terms), groups)]

    def having(self, index: str, terms: Sequence[Sequence[str]], groups: Iterable[str]) -> list[tuple[Ids, Ids]]:
        """For each term the ids of the passages for these groups that have it in their text, and of those that have it in their title."""
        asked = [f"{column} : ({any_of(forms)})" for forms in terms for column in ("text", "title")]
        found = [_ids(line) for line in self._matched(index, f"group_concat({index}.rowid)", asked, groups)]
        return list(zip(found[::2], found[1::2], strict=True))

    def _matched(self, index: str, what: str, asked: Iterable[str], groups: Iterable[str]) -> list[str]:
        terms, template = list(asked), _LOOKED_UP if len(self.spans(groups)) > _MANY else _MATCHED
        statement = _statement(template, index=index, what=what)
        try:
            found = self._base.execute(statement, {"asked": json.dumps(terms), "groups": _json(groups)}).fetchall()
        except sqlite3.OperationalError:  # a word of some script that FTS5 cuts in two, and phrases are not in here
            terms = [term if self._is_one(term) else '""' for term in terms]
            found = self._base.execute(statement, {"asked": json.dumps(terms), "groups": _json(groups)}).fetchall()
        return [row for (row,) in found]

    def _is_one(self, term: str) -> bool:
        try:
            self._base.execute("SELECT 1 FROM stems WHERE stems MATCH ? AND rowid = 0", (term,)).fetchone()
        except sqlite3.OperationalError:
            return False
        return True

    def explained(self, asked: Sequence[str], groups: Iterable[str]) -> list[str]:
        """What documents for these groups say that words of a question stand for: long forms of short ones, and the reverse."""
        stems = {stem for word in asked for stem in words.both_stems(word)}
        values = {"words": json.dumps(sorted(stems | set(asked))), "groups": _json(groups)}
        more: dict[str, None] = {}
        taken: dict[str, int] = {}
        for short, long in self._base.execute(_statement(_EXPLAINED), values):
            if short in asked and taken.setdefault(short, 0) < _LONG_FORMS:
                taken[short] += 1
                more.update(dict.fromkeys(long.split()))
            elif all(stems.intersection(words.both_stems(word)) for word in long.split()):
                more[short] = None
        return [word for word in more if word not in asked]

    def nearest(self, vector: Vectors, groups: Iterable[str], also: Ids) -> Nearest:
        """The passages for these groups that are nearest to the vector; and those of `also`, which are of these groups."""
        return self._near.nearest(vector, self.spans(groups), also)

    def nearness(self, products: Vectors) -> Vectors:
        """How near, of a question's products with passages, in spreads from how near documents of the index are to each other.

        An index of too few documents to tell calls nothing near or far.
        """
        if self._usual is None:
            return np.zeros_like(products)
        mean, spread = self._usual
        # Each row is a sum of two unit vectors, title and text: a product with a question is two cosines, with another row four.
        return ((products / 2 - mean / 4) / (spread / 4)).astype(np.float32)

    def texts(self, ids: Sequence[int], groups: Iterable[str]) -> list[Found]:
        """These passages in this order, without those that the groups may not see."""
        asked = {"ids": json.dumps([int(row) for row in ids]), "groups": _json(groups)}
        found = {row[0]: Found(*row) for row in self._base.execute(_statement(_TEXTS), asked)}
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
        vectors = self._near.rows[[row[0] - 1 for row in rows]] if self.dimension else None
        return Document(path, title, sha256, language, groups, tuple(Piece(*row[1:]) for row in rows), vectors)


def _json(groups: Iterable[str]) -> str:
    return json.dumps(sorted(groups))


def _ids(line: str | None) -> Ids:
    return np.fromstring(line, dtype=np.int64, sep=",") if line else np.zeros(0, np.int64)
