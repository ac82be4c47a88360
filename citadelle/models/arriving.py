"""A blob on its way: its bytes so far and, chunk by chunk, which of them are there; both outlive a killed process."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from citadelle.models.verify import CHUNK, WINDOW, Entry, add_part

PART = 64 * CHUNK  # bytes of one request
# Chunks after which the disk is given what has come, beside the transfer: at its end little is left to wait for.
SYNCED = 32
FILE = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


class Arriving:
    """The file `sha256-<hex>` in a staging folder. `.chunks` beside it holds one byte for each chunk, written after the chunk itself."""

    def __init__(self, folder: Path, entry: Entry) -> None:
        self.entry, self.path = entry, folder / Path(entry.path).name
        self._map_path = self.path.with_name(f"{self.path.name}.chunks")
        count = -(-entry.size // CHUNK)
        is_ours = _size(self.path) == entry.size and _size(self._map_path) == count
        self._data, self._map = os.open(self.path, FILE, 0o600), os.open(self._map_path, FILE, 0o600)
        if not is_ours:
            self._empty(count)
        self.there = bytearray(os.pread(self._map, count, 0))
        self.resumed = any(self.there)
        self._changed = threading.Condition()
        self._error: BaseException | None = None
        self._told = self._written = 0
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="sync")

    def _empty(self, count: int) -> None:
        for file, size in ((self._map, count), (self._data, self.entry.size)):
            os.ftruncate(file, 0)
            os.ftruncate(file, size)

    def missing(self) -> int:
        """Bytes that have not come yet."""
        return sum(end - start for start, end in self.runs(PART))

    def runs(self, longest: int) -> Iterator[tuple[int, int]]:
        """Ranges [start, end) of missing bytes in order, none longer than `longest` (a multiple of a chunk)."""
        start = None
        for index, there in enumerate([*self.there, 1]):
            if start is not None and (there or index - start >= longest // CHUNK):
                yield start * CHUNK, min(index * CHUNK, self.entry.size)
                start = None
            if not there and start is None:
                start = index

    def put(self, start: int, chunk: memoryview) -> None:
        """Write a whole chunk, or the last one, then note that it is there."""
        written = 0
        while written < len(chunk):
            written += os.pwrite(self._data, chunk[written:], start + written)
        os.pwrite(self._map, b"\x01", start // CHUNK)
        with self._changed:
            self.there[start // CHUNK] = 1
            self._written += 1
            is_due = self._written % SYNCED == 0
            self._changed.notify_all()
        if is_due:
            self._disk.submit(self._sync)

    def _sync(self) -> None:
        try:
            os.fdatasync(self._data)
        except OSError as error:  # a descriptor tells of a lost write once: the last sync would not
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """Wake whoever waits for chunks: none will come."""
        with self._changed:
            self._error = self._error or error
            self._changed.notify_all()

    def forgive(self) -> None:
        """Forget a failure: the rest is read in another way."""
        self._error = None

    def parts(self) -> Iterator[tuple[int, int]]:
        """Ranges [start, end) of the file in order, each as soon as all of it is there; raises what `fail` was told."""
        start = 0
        while start < len(self.there):
            with self._changed:
                self._changed.wait_for(lambda start=start: self.there[start] or self._error)  # type: ignore[misc]
                if self._error and not self.there[start]:
                    raise self._error
            gap = self.there.find(0, start, start + WINDOW // CHUNK)
            end = gap if gap >= 0 else min(start + WINDOW // CHUNK, len(self.there))
            yield start * CHUNK, min(end * CHUNK, self.entry.size)
            start = end

    def hash(self, advance: Callable[[int], None]) -> str:
        """`sha256:<hex>` of the file, computed while it comes; `advance` is told the bytes of each part."""
        digest = hashlib.sha256()
        for start, end in self.parts():
            add_part(digest, self._data, start, end)
            if end > self._told:  # a second start tells nothing twice
                advance(end - self._told)
                self._told = end
        return f"sha256:{digest.hexdigest()}"

    def admit(self, target: Path) -> None:
        """Give the file its name in the store; the caller has judged it."""
        os.fchmod(self._data, 0o644)  # whatever the umask: the engine's own user must read it
        self._disk.shutdown()
        if self._error:
            raise self._error
        os.fsync(self._data)
        self.path.rename(target)
        self._map_path.unlink()
        self.close()

    def discard(self) -> None:
        """Forget all of it."""
        self.close()
        self.path.unlink(missing_ok=True)
        self._map_path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the files; what has come stays for the next time."""
        self._disk.shutdown(cancel_futures=True)
        for file in (self._data, self._map):
            if file >= 0:
                os.close(file)
        self._data = self._map = -1


def _size(path: Path) -> int:
    try:
        return path.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return -1
