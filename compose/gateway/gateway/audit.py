"""One record for each request, to the process on the host that writes them. Without that process nothing is asked of the engine.

A request is opened there before the engine is asked, and closed when it is over. What could not be delivered is kept and sent again, and
as long as it is, there is no inference; when too much is kept, there is no answer to anything.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from gateway.errors import Refusal
from gateway.limits import DAY, MINUTE, Use
from gateway.link import Link, Said
from gateway.log import event

Restore = Callable[[str, Use, float], None]
Opening = asyncio.Future[Said]  # the receiver's answer to a record that is opened
_SECONDS = 3.0  # for one answer of the receiver
_TOTALS_SECONDS = 120.0  # for the sums of a day, which it reads from its files
_KEPT = 1000  # records that could not be delivered yet
_ANCHOR_EVERY = 100  # records; each anchor goes into the log of the gateway, which is kept elsewhere


class Trail:
    """The connection to the receiver. `versions` go into every record; `restore` gets what each key used today before this gateway.

    `keys` gives the ids to ask about: the receiver keeps pseudonyms of them.
    """

    def __init__(self, path: Path, versions: dict[str, str], restore: Restore, keys: Callable[[], list[str]]) -> None:
        self._keys = keys
        self._path, self._versions, self._restore, self._restored = str(path), versions, restore, False
        self._link: Link | None = None
        self._connecting: asyncio.Future[Link] | None = None
        self._kept: dict[str, bytes] = {}
        self._failed: set[str] = set()
        self._again: asyncio.Future[bool] | None = None
        self._unrecorded = 0

    def adopt(self, versions: dict[str, str]) -> None:
        """Take other versions, from the next record on."""
        self._versions = versions

    async def close(self) -> None:
        """Deliver what is kept, if the receiver is there, and end the connection."""
        if self._link:
            self._link.flush()
            await self._said(_PING)  # answers come in order: what was sent before is answered by then
        await self._delivered()
        if self._link:
            self._link.close()

    @property
    def kept(self) -> int:
        """How many records are not on the receiver's word yet."""
        return len(self._kept)

    def check(self) -> None:
        """Raise Refusal (503) when another request could not be recorded."""
        if len(self._kept) >= _KEPT:
            raise unavailable()

    def open(self, record: dict[str, Any]) -> Opening:
        """Have a request on record: before it costs anything, `opened` has to be awaited with what this returns."""
        line = orjson.dumps({"op": "open", "record": record | self._versions}, option=orjson.OPT_APPEND_NEWLINE)
        if self._link and self._restored:
            return self._link.ask(line)
        return asyncio.ensure_future(self._sent(line))

    async def opened(self, opening: Opening) -> None:
        """Raise Refusal (503) for a request that is not on record."""
        said = await opening
        if "error" in said:
            event("audit_failed", error=said["error"][:64])
            raise unavailable()
        if self._failed and not await self._delivered():
            raise unavailable()

    def note(self, record: dict[str, Any]) -> None:
        """Record a request that is over: delivered on the side, and kept until it is."""
        if len(self._kept) >= _KEPT:
            self.skip()
            return
        record |= self._versions
        record["unrecorded"], self._unrecorded = self._unrecorded, 0
        name = record["id"]
        line = self._kept[name] = orjson.dumps({"op": "close", "record": record}, option=orjson.OPT_APPEND_NEWLINE)
        if self._link:
            self._link.tell(line, partial(self._closed, name))
        else:
            self._failed.add(name)
            self._deliver_again()

    def skip(self) -> None:
        """Count a request that gets no record of its own; the next record says how many."""
        self._unrecorded += 1

    async def ready(self) -> bool:
        """Whether a record could be written now; what is kept is sent again."""
        return "error" not in await self._said(_PING) and await self._delivered()

    def _closed(self, name: str, said: Said) -> None:
        if "error" in said:
            self._failed.add(name)
            event("audit_failed", error=said["error"][:64])
            return
        self._failed.discard(name)
        self._kept.pop(name, None)
        if said["seq"] % _ANCHOR_EVERY == 0:
            event("audit_anchor", count=said["seq"], mac=said["mac"])

    def _deliver_again(self) -> None:
        """Try once, on the side; one attempt at a time."""
        if self._again is None or self._again.done():
            self._again = asyncio.ensure_future(self._delivered())

    async def _delivered(self) -> bool:
        """Whether no delivery has failed so far; those that have are tried once more."""
        for name in list(self._failed):
            if (line := self._kept.get(name)) is not None:
                self._closed(name, await self._sent(line))
        return not self._failed

    async def _said(self, message: dict[str, Any]) -> Said:
        line = orjson.dumps(message, option=orjson.OPT_APPEND_NEWLINE)
        said = await self._sent(line)
        if "error" in said:
            event("audit_failed", error=said["error"][:64])
        return said

    async def _sent(self, line: bytes) -> Said:
        """The receiver's answer, or `{"error": ...}` when there is none in time."""
        try:
            link = self._link or await self._connected()
            if not self._restored and self._keys():  # the file of keys could not be read when the link was made
                await self._restore_once(link)
        except (OSError, TimeoutError) as error:
            return {"error": type(error).__name__}
        return await link.ask(line)

    async def _connected(self) -> Link:
        """The connection; one attempt at a time, which outlives the request that has begun it, though that waits no longer for it."""
        if self._connecting is None or self._connecting.done():
            self._connecting = asyncio.ensure_future(self._connect())
            self._connecting.add_done_callback(lambda done: done.cancelled() or done.exception())
        async with asyncio.timeout(_SECONDS):
            return await asyncio.shield(self._connecting)

    async def _connect(self) -> Link:
        loop = asyncio.get_running_loop()
        _, link = await loop.create_unix_connection(lambda: Link(loop, self._lost), self._path)
        try:
            await self._restore_once(link)
        except BaseException:
            link.close()
            raise
        self._link = link
        return link

    def _lost(self) -> None:
        self._link = None

    async def _restore_once(self, link: Link) -> None:
        """Nothing is used before keys are known: without any of them it is done again."""
        keys = self._keys()
        if self._restored:
            return
        self._restored, link.seconds = bool(keys), _TOTALS_SECONDS
        try:
            await self._restore_all(link, keys)
        except BaseException:
            self._restored = False
            raise
        finally:
            link.seconds = _SECONDS

    async def _restore_all(self, link: Link, keys: list[str]) -> None:
        now = datetime.now(UTC).timestamp()
        minute, day = now // MINUTE * MINUTE, now // DAY * DAY
        spans = [day, max(day, minute - MINUTE), max(day, minute)]
        asked = {"op": "totals", "since": [_text(moment) for moment in spans], "keys": keys}
        said = await link.ask(orjson.dumps(asked, option=orjson.OPT_APPEND_NEWLINE))
        if "totals" not in said:
            raise ConnectionError
        for name, sums in said["totals"].items():
            for moment, used in zip(spans, sums, strict=True):
                self._restore(name, Use(*used), moment)


_PING = {"op": "ping"}


def unavailable() -> Refusal:
    """A 503: no record, no answer."""
    return Refusal(503, "audit_unavailable", "Requests cannot be recorded now, so none is answered.", retry_after=5)


def _text(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M:%S.000Z}"
