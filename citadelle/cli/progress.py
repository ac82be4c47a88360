"""How far a fetch, a verification or a job on a host is: a bar with rate and time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from citadelle.models.fetch import Watcher

STEP = 10  # per cent between two plain lines of a file
LARGE = 64 << 20  # bytes from which a file has lines on its way


def amount(size: int) -> str:
    """Bytes for people: `69 bytes`, `4372.8 MB`."""
    return f"{size / 1e6:.1f} MB" if size >= 50_000 else f"{size} bytes"


class Bar:
    """For a terminal."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._task = progress, TaskID(0)

    def begin(self, name: str, size: int) -> None:
        self._task = self._progress.add_task(name, total=size)

    def advance(self, count: int) -> None:
        self._progress.advance(self._task, count)


class Lines:
    """For logs."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._name, self._size, self._done, self._shown = "", 0, 0, 0
        self._lock = Lock()  # a verification tells from many threads

    def begin(self, name: str, size: int) -> None:
        self._name, self._size, self._done, self._shown = name, size, 0, 0
        print(f"{name}: {amount(size)}", file=self._stream, flush=True)

    def advance(self, count: int) -> None:
        with self._lock:
            self._done += count
            percent = 100 * self._done // self._size
            if self._size >= LARGE and percent // STEP > self._shown:
                self._shown = percent // STEP
                print(f"{self._name}: {percent} %", file=self._stream, flush=True)


@contextmanager
def watcher(stream: TextIO | None = None) -> Iterator[Watcher]:
    """What suits the stream (default: standard error)."""
    stream = stream or sys.stderr
    if not stream.isatty():
        yield Lines(stream)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(file=stream)) as progress:
        yield Bar(progress)


COUNT = re.compile(r"(\d+)/(\d+) files, \d+ s left")  # as `rag.command ingest` says it


@contextmanager
def counter(name: str, stream: TextIO | None = None) -> Iterator[Callable[[str], None]]:
    """To be called with each line that a job says: those that tell how far it is (`3/12 files, 50 s left`) are shown, no others.

    A bar on a terminal; elsewhere the line itself, when another tenth is done.
    """
    stream = stream or sys.stderr
    if stream.isatty():
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(file=stream)) as progress:
            task = progress.add_task(name, total=None)
            yield lambda line: _counted(line, lambda done, total: progress.update(task, completed=done, total=total))
        return
    shown = -1

    def tell(line: str, done: int, total: int) -> None:
        nonlocal shown
        if 100 * done // total // STEP > shown:
            shown = 100 * done // total // STEP
            print(f"{name}: {line}", file=stream, flush=True)

    yield lambda line: _counted(line, lambda done, total: tell(line, done, total))


def _counted(line: str, show: Callable[[int, int], None]) -> None:
    if found := COUNT.fullmatch(line):
        show(int(found[1]), int(found[2]))
