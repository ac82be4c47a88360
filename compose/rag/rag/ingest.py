"""From a folder of documents to an index: what is new is read, what is the same is taken over, what is gone goes.

The new index is a file beside the old one until it is whole; then it takes its name in one step, and who reads the old one goes on with it.
"""

import hashlib
import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import local

import numpy as np

from rag import words
from rag.embedder import Embedder
from rag.folder import Entry, entries
from rag.passages import pieces
from rag.reader import Reader
from rag.readers import Text, Unreadable
from rag.store import Document, StoreError, Vectors, Writer
from rag.worker import SECONDS, Worker

_FILE_BYTES = 200_000_000
JOBS = (
    2  # files read at once: compose/ingest.yaml gives two processors, and memory for no more, however many the host has
)
_AHEAD = 2  # files for each of these whose text may wait to be stored


@dataclass
class Report:
    """What came of it. `problems`: path and reason of each file that was left out; `unseen`: files that nobody may see."""

    documents: int = 0
    passages: int = 0
    read: int = 0
    kept: int = 0
    gone: int = 0
    problems: dict[str, str] = field(default_factory=dict)
    unseen: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Content:
    """A file's SHA-256 and, unless that is known already, its text."""

    sha256: str
    text: Text | None


class Ingestion:
    """`target`: the index; `embedder`: None for words alone; `progress(done, all)` is called after each file."""

    def __init__(
        self,
        source: Path,
        target: Path,
        embedder: Embedder | None = None,
        *,
        jobs: int = JOBS,
        seconds: float = SECONDS,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        self._source, self._target, self._embedder, self._progress = source, target, embedder, progress
        self._jobs, self._seconds = jobs, seconds
        self._own = local()
        self._workers: list[Worker] = []
        self._dimension = len(embedder.query("dimension")) if embedder else 0

    def run(self) -> Report:
        """Raise OSError, EmbedderError, WorkerError; the index that was there stays then."""
        found = sorted(
            entries(self._source), key=lambda entry: (sorted(entry.groups), entry.path)
        )  # as `Writer` likes it
        report = Report(problems={entry.path: entry.problem for entry in found if entry.problem})
        fresh = self._target.with_name(f".{self._target.name}.{os.getpid()}")
        old = self._old()
        try:
            writer = Writer(fresh, self._embedder.identity if self._embedder else "", self._dimension)
            with ThreadPoolExecutor(self._jobs) as pool:
                self._fill(writer, [entry for entry in found if not entry.problem], old, report, pool)
            writer.close()
            _place(fresh, self._target)
        finally:
            fresh.unlink(missing_ok=True)
            for worker in self._workers:
                worker.close()
        return report

    def _old(self) -> Reader | None:
        """The index that is there, if what it holds can be taken over: the same form, the same embedder."""
        try:
            old = Reader(self._target) if self._target.exists() else None
        except StoreError:
            return None
        name = self._embedder.identity if self._embedder else ""
        is_same = old and old.can_be_kept and (old.embedder, old.dimension) == (name, self._dimension)
        return old if is_same else None

    def _fill(
        self, writer: Writer, wanted: list[Entry], old: Reader | None, report: Report, pool: ThreadPoolExecutor
    ) -> None:
        known = old.contents() if old else {}
        report.gone = len(known.keys() - {entry.path for entry in wanted})
        coming: deque[Future[_Content | None]] = deque()
        for done, entry in enumerate(wanted, start=1):
            while len(coming) < self._jobs * _AHEAD and (following := done - 1 + len(coming)) < len(wanted):
                path = wanted[following]
                coming.append(pool.submit(self._content, path, known.get(path.path), report))
            if content := coming.popleft().result():
                self._add(writer, self._document(entry, content, old, report), report)
            self._progress(done, len(wanted))

    def _content(self, entry: Entry, known: str | None, report: Report) -> _Content | None:
        path = self._source / entry.path
        try:
            sha256 = _digest(path)
            return _Content(sha256, None if sha256 == known else self._worker().read(path))
        except (Unreadable, OSError) as error:
            report.problems[entry.path] = str(error) if isinstance(error, Unreadable) else type(error).__name__
            return None

    def _worker(self) -> Worker:
        """Each thread has a process of its own to read with."""
        if not hasattr(self._own, "worker"):
            self._own.worker = Worker(self._seconds)
            self._workers.append(self._own.worker)
        worker: Worker = self._own.worker
        return worker

    def _document(self, entry: Entry, content: _Content, old: Reader | None, report: Report) -> Document:
        if content.text is None and old:
            report.kept += 1
            return old.document(entry.path, entry.groups)
        text = content.text or Text("", [])
        title = text.title or Path(entry.path).stem.replace("_", " ").replace("-", " ")
        cut = pieces(text.pages)
        language = words.language(" ".join(text.pages)[:20_000])
        report.read += 1
        vectors = self._vectors(title, [piece.text for piece in cut])
        return Document(entry.path, title, content.sha256, language, entry.groups, tuple(cut), vectors)

    def _vectors(self, title: str, texts: list[str]) -> Vectors | None:
        if self._embedder is None:
            return None
        if not texts:
            return np.zeros((0, self._dimension), np.float32)
        return self._embedder.document(title, texts)

    def _add(self, writer: Writer, document: Document, report: Report) -> None:
        writer.add(document)
        report.documents += 1
        report.passages += len(document.pieces)
        if not document.groups:
            report.unseen.append(document.path)


def _digest(path: Path) -> str:
    if path.stat().st_size > _FILE_BYTES:
        raise Unreadable("too large")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _place(fresh: Path, target: Path) -> None:
    """The whole file takes the name in one step, and stays after a power cut."""
    with fresh.open("rb") as file:
        os.fsync(file.fileno())
    fresh.chmod(0o640)
    fresh.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
