"""The server's side of a connection, with what uvicorn leaves open: how large a head may be, how long anybody may dawdle, who has left.

One timer looks at all connections; none of them has its own.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.settings import Limits

_SWEEP_SECONDS = 0.5
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class Guard:
    """What the application may know of a request's connection, at `scope["guard"]`: cheaper than a task that waits for each of these."""

    def __init__(self) -> None:
        self.whole = False  # the body has arrived
        self.lost = False  # the client has left
        self.on_lost: Callable[[], object] | None = None


class OneWrite:
    """A transport that sends what is written in one turn of the loop as one piece: head and body of an answer arrive together."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._parts: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send, with what else comes."""
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(data)

    def close(self) -> None:
        """End the connection, after what was written."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._parts and not self._transport.is_closing():
            self._transport.write(b"".join(self._parts))
        self._parts = []


class Guarded(HttpToolsProtocol):
    """uvicorn's protocol; `limits` are set by `guarded`."""

    limits: ClassVar[Limits]
    live: ClassVar[set["Guarded"]]
    sweeper: ClassVar[asyncio.TimerHandle | None] = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast("asyncio.Transport", OneWrite(transport, self.loop)))
        self._head_since: float | None = time.monotonic()  # None while no head is awaited
        self._head_bytes = 0
        self._guards: deque[Guard] = deque()  # of the requests that are not answered yet
        self._stalled_since: float | None = None
        self.live.add(self)
        if type(self).sweeper is None:
            type(self)._next_sweep(self.loop)

    def connection_lost(self, exc: Exception | None) -> None:
        self.live.discard(self)
        super().connection_lost(exc)
        for guard in self._guards:
            guard.lost = True
            if guard.on_lost:
                guard.on_lost()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._head_since is not None:
            self._head_bytes += len(data)
            if self._head_bytes > self.limits.head_bytes and not self.transport.is_closing():
                self.transport.write(_TOO_LARGE)
                self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_since, self._head_bytes = time.monotonic(), 0
        self._arriving = Guard()
        self._guards.append(self._arriving)
        self.scope["guard"] = self._arriving  # type: ignore[typeddict-unknown-key]

    def on_headers_complete(self) -> None:
        self._head_since = None
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._arriving.whole = True  # it may have been answered before its body came
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self._guards.popleft()
        super().on_response_complete()

    def pause_writing(self) -> None:
        self._stalled_since = time.monotonic()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._stalled_since = None
        super().resume_writing()

    @classmethod
    def _next_sweep(cls, loop: asyncio.AbstractEventLoop) -> None:
        cls.sweeper = loop.call_later(_SWEEP_SECONDS, cls._sweep, loop)

    @classmethod
    def _sweep(cls, loop: asyncio.AbstractEventLoop) -> None:
        now, cls.sweeper = time.monotonic(), None
        for connection in list(cls.live):
            if connection._dawdles(now):
                connection.transport.abort()
        if cls.live:
            cls._next_sweep(loop)

    def _dawdles(self, now: float) -> bool:
        head, stall = self._head_since, self._stalled_since
        return (head is not None and now - head > self.limits.head_seconds) or (
            stall is not None and now - stall > self.limits.stall_seconds
        )


def guarded(limits: Limits) -> type[Any]:
    """The class of connections for one server."""
    return type("GuardedBy", (Guarded,), {"limits": limits, "live": set(), "sweeper": None})
