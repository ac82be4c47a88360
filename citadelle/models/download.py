"""One blob, read in ranges side by side and hashed meanwhile; a range that breaks off goes on where it was."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from citadelle.models.arriving import Arriving
from citadelle.models.http import NoRanges, Passing, Patience, RegistryError
from citadelle.models.origins import Body
from citadelle.models.verify import CHUNK


@dataclass(frozen=True)
class Download:
    """`body` reads ranges of the blob, up to `streams` of them at a time, each of at most `part` bytes (a multiple of a chunk); `stop`
    ends those that wait, for good."""

    arriving: Arriving
    body: Body
    streams: int
    patience: Patience
    part: int
    stop: Callable[[], None]
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self, advance: Callable[[int], None]) -> str:
        """Read what is missing; returns the digest of the whole file. Raises OSError, `RegistryError`."""
        try:
            return self._read(list(self.arriving.runs(self.part)), self.streams, advance)
        except NoRanges:
            self._stop.clear()
            self.arriving.forgive()
            first = min((start for start, _ in self.arriving.runs(self.part)), default=0)
            return self._read([(first, self.arriving.entry.size)], 1, advance)

    def _read(self, runs: list[tuple[int, int]], streams: int, advance: Callable[[int], None]) -> str:
        with ThreadPoolExecutor(streams, thread_name_prefix="fetch") as pool:
            try:
                for start, end in runs:
                    pool.submit(self._read_run, start, end)
                return self.arriving.hash(advance)
            except NoRanges:
                raise
            except BaseException:
                self._stop.set()
                self.stop()
                raise
            finally:
                self._stop.set()
                pool.shutdown(cancel_futures=True)

    def _read_run(self, position: int, end: int) -> None:
        failed = 0
        try:
            while position < end and not self._stop.is_set():
                before = position
                try:
                    for chunk in _chunks(self.body(position, end), end - position):
                        self.arriving.put(position, chunk)
                        position += len(chunk)
                        if self._stop.is_set():
                            return
                except Passing as error:
                    failed = 1 if position > before else failed + 1
                    self._wait(failed, error)
        except BaseException as error:  # a thread's only way to speak
            self.arriving.fail(error)

    def _wait(self, failed: int, error: Passing) -> None:
        if failed >= self.patience.tries:
            raise RegistryError(f"{error} (given up after {failed} tries)") from None
        self._stop.wait(self.patience.seconds(failed, error))


def _chunks(pieces: Iterator[bytes], length: int) -> Iterator[memoryview]:
    """Whole chunks out of pieces of any size, at the end what is left of `length`; each is good until the next is asked for."""
    chunk, filled, left = memoryview(bytearray(CHUNK)), 0, length
    for piece in pieces:
        view = memoryview(piece)
        while view:
            count = min(len(view), min(CHUNK, left) - filled)
            chunk[filled : filled + count] = view[:count]
            view, filled = view[count:], filled + count
            if filled == min(CHUNK, left):
                left -= filled
                yield chunk[:filled]
                filled = 0
    if left:
        raise Passing(f"ended {left} bytes early")
