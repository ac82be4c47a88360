"""One record for each request, to the process on the host that writes them. Without that process nothing is asked of the engine.

A request is opened there before the engine is asked, and closed when it is over. What could not be delivered is kept and sent again, and
as long as it is, there is no inference; when too much is kept, there is no answer to anything.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from gateway.errors import Refusal
from gateway.limits import DAY, MINUTE, Use
from gateway.log import event

Restore = Callable[[str, Use, float], None]
_SECONDS = 3.0  # for one answer of the receiver
_TOTALS_SECONDS = 120.0  # for the sums of a day, which it reads from its files
_KEPT = 1000  # records that could not be delivered yet
_ANCHOR_EVERY = 100  # records; each anchor goes into the log of the gateway, which is kept elsewhere


class Trail:
    """The connection to the receiver. `versions` go into every record; `restore` gets what each key used today before this gateway."""

    def __init__(self, path: Path, versions: dict[str, str], restore: Restore) -> None:
        self._path, self._versions, self._restore, self._restored = str(path), versions, restore, False
        self._writer: asyncio.StreamWriter | None = None
        self._connecting: asyncio.Future[None] | None = None
        self._reading: asyncio.Future[None] | None = None
        self._asked: deque[asyncio.Future[dict[str, Any]]] = deque()
        self._kept: dict[str, bytes] = {}
        self._failed: set[str] = set()
        self._tasks: set[asyncio.Future[None]] = set()
        self._unrecorded = 0

    async def close(self) -> None:
        """Deliver what is kept, if the receiver is there, and end the connection."""
        await asyncio.gather(*self._tasks)
        await self._delivered()
        if self._writer:
            self._writer.close()
        if self._reading:
            await self._reading

    def check(self) -> None:
        """Raise Refusal (503) when another request could not be recorded."""
        if len(self._kept) >= _KEPT:
            raise unavailable()

    async def open(self, record: dict[str, Any]) -> None:
        """Have a request on record before it costs anything. Raise Refusal (503)."""
        said = await self._said({"op": "open", "record": record | self._versions})
        if "error" in said or not await self._delivered():
            raise unavailable()

    def note(self, record: dict[str, Any]) -> None:
        """Record a request that is over: delivered on the side, and kept until it is."""
        if len(self._kept) >= _KEPT:
            self.skip()
            return
        record = record | self._versions | {"unrecorded": self._unrecorded}
        self._unrecorded = 0
        self._kept[record["id"]] = orjson.dumps({"op": "close", "record": record}) + b"\n"
        task = asyncio.ensure_future(self._deliver(record["id"]))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def skip(self) -> None:
        """Count a request that gets no record of its own; the next record says how many."""
        self._unrecorded += 1

    async def ready(self) -> bool:
        """Whether a record could be written now; what is kept is sent again."""
        return "error" not in await self._said({"op": "ping"}) and await self._delivered()

    async def _delivered(self) -> bool:
        """Whether no delivery has failed so far; those that have are tried once more."""
        if self._failed:
            await asyncio.gather(*(self._deliver(name) for name in list(self._failed)))
        return not self._failed

    async def _deliver(self, name: str) -> None:
        if (line := self._kept.get(name)) is None:
            return
        said = await self._send(line)
        if "error" in said:
            self._failed.add(name)
            return
        self._failed.discard(name)
        self._kept.pop(name, None)
        if said["seq"] % _ANCHOR_EVERY == 0:
            event("audit_anchor", count=said["seq"], mac=said["mac"])

    async def _said(self, message: dict[str, Any]) -> dict[str, Any]:
        return await self._send(orjson.dumps(message) + b"\n")

    async def _send(self, line: bytes) -> dict[str, Any]:
        """The receiver's answer, or `{"error": ...}` when there is none in time."""
        try:
            async with asyncio.timeout(_SECONDS):
                said = await self._exchange(await self._connected(), line)
        except (OSError, TimeoutError) as error:
            said = {"error": type(error).__name__}
        if "error" in said:
            event("audit_failed", error=said["error"][:64])
        return said

    async def _exchange(self, writer: asyncio.StreamWriter, line: bytes) -> dict[str, Any]:
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._asked.append(answer)
        writer.write(line)
        return await answer

    async def _connected(self) -> asyncio.StreamWriter:
        """The connection; one attempt at a time, which outlives the request that has begun it."""
        if self._writer is None:
            if self._connecting is None or self._connecting.done():
                self._connecting = asyncio.ensure_future(self._connect())
                self._connecting.add_done_callback(lambda done: done.cancelled() or done.exception())
            await asyncio.shield(self._connecting)
        if self._writer is None:
            raise ConnectionError
        return self._writer

    async def _connect(self) -> None:
        async with asyncio.timeout(_TOTALS_SECONDS):
            reader, writer = await asyncio.open_unix_connection(self._path, limit=1 << 24)
            self._reading = asyncio.ensure_future(self._read(reader))
            try:
                await self._restore_once(writer)
            except BaseException:
                writer.close()
                raise
            if not self._reading.done():
                self._writer = writer

    async def _read(self, reader: asyncio.StreamReader) -> None:
        """Answers come in the order of the questions; one that nobody waits for any more is dropped."""
        with contextlib.suppress(OSError, ValueError):
            while line := await reader.readline():
                answer = self._asked.popleft()
                if not answer.done():
                    answer.set_result(orjson.loads(line))
        self._writer = None
        while self._asked:
            if not (answer := self._asked.popleft()).done():
                answer.set_exception(ConnectionError())

    async def _restore_once(self, writer: asyncio.StreamWriter) -> None:
        if self._restored:
            return
        now = datetime.now(UTC).timestamp()
        minute, day = now // MINUTE * MINUTE, now // DAY * DAY
        spans = [day, max(day, minute - MINUTE), max(day, minute)]
        line = orjson.dumps({"op": "totals", "since": [_text(moment) for moment in spans]}) + b"\n"
        said = await self._exchange(writer, line)
        if "totals" not in said:
            raise ConnectionError
        for name, sums in said["totals"].items():
            for moment, used in zip(spans, sums, strict=True):
                self._restore(name, Use(*used), moment)
        self._restored = True


def unavailable() -> Refusal:
    """A 503: no record, no answer."""
    return Refusal(503, "audit_unavailable", "Requests cannot be recorded now, so none is answered.", retry_after=5)


def _text(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M:%S.000Z}"
