"""The server's side of a connection, with what uvicorn leaves open: how large a head may be, how long anybody may dawdle, who has left.

One timer looks at all connections; none of them has its own.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar

from httptools import parse_url
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, service_unavailable
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.answer import Cycle
from gateway.log import event
from gateway.settings import Limits

_SWEEP_SECONDS = 0.5
_WAITING = 16  # requests of a connection that came together and wait for the one before them; more is no client
_NOWHERE: Any = deque(maxlen=0)  # what follows a body (trailers) is of no request's head, and may be without end
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class Guard:
    """What the application may know of a request's connection, at `scope["guard"]`: cheaper than a task that waits for each of these."""

    __slots__ = ("body", "lost", "on_lost", "whole")

    def __init__(self) -> None:
        self.whole = False  # the body has arrived
        self.body: bytearray | None = None  # all of it, where it is small and did not come after its answer
        self.lost = False  # the client has left
        self.on_lost: Callable[[], object] | None = None


class Guarded(HttpToolsProtocol):
    """uvicorn's protocol; `limits` are set by `guarded`."""

    limits: ClassVar[Limits]
    live: ClassVar[set["Guarded"]]
    told: ClassVar[dict[str, float]]
    sweeper: ClassVar[asyncio.TimerHandle | None] = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head_since: float | None = time.monotonic()  # None while no head is awaited
        self._idle_since: float | None = None  # None while a request is under way
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

    def send_400_response(self, msg: str) -> None:
        """For what is no request."""
        self._tell("malformed", 400)
        super().send_400_response(msg)

    @classmethod
    def _tell(cls, name: str, status: int) -> None:
        """In the log, at most once a second: who needs no key to cause it shall not fill it."""
        if (now := time.monotonic()) >= cls.told.get(name, 0.0) + 1:
            cls.told[name] = now
            event(name, status=status)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_since, self._head_bytes, self._idle_since = time.monotonic(), 0, None
        self._arriving = Guard()
        self._guards.append(self._arriving)
        self.scope["guard"] = self._arriving  # type: ignore[typeddict-unknown-key]

    def on_headers_complete(self) -> None:
        """As uvicorn's, without upgrades, for cycles of our own."""
        self._head_since, self.headers = None, _NOWHERE
        parser, scope, version, url = self.parser, self.scope, self.parser.get_http_version(), parse_url(self.url)
        scope["method"], scope["http_version"] = parser.get_method().decode("ascii"), version
        if url.path is None:
            raise ValueError("an address without a path")  # the parser stops, and uvicorn says 400
        # ASGI's `path`, decoded, is not there: it is for nobody to decide on.
        scope["raw_path"], scope["query_string"] = url.path, url.query or b""
        app, before, most = self.app, self.cycle, self.limit_concurrency
        if most is not None and (len(self.connections) >= most or len(self.tasks) >= most):
            app = service_unavailable
            self._tell("too_many_connections", 503)
        self.cycle = Cycle(
            scope, self.transport, self.flow, self.logger, self.access_logger, False, self.server_state.default_headers,
            asyncio.Event(), self.expect_100_continue, version != "1.0" and parser.should_keep_alive(), self.on_response_complete,
        )  # fmt: skip
        if before is None or before.response_complete:
            self._start_asgi_task(self.cycle, app)
        elif len(self.pipeline) >= _WAITING:
            raise ValueError("too many requests at once")  # the parser stops, and uvicorn says 400
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, app))

    def on_message_complete(self) -> None:
        self._arriving.whole = True  # it may have been answered before its body came
        if not self.cycle.response_complete and len(self.cycle.body) <= HIGH_WATER_LIMIT:
            self._arriving.body = self.cycle.body
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """As uvicorn's, without a timer for each request: the sweep ends who asks nothing more."""
        self._guards.popleft()
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._idle_since = time.monotonic()

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
            elif (idle := connection._idle_since) is not None and now - idle > connection.timeout_keep_alive:
                connection.transport.close()
        if cls.live:
            cls._next_sweep(loop)

    def _dawdles(self, now: float) -> bool:
        head, stall = self._head_since, self._stalled_since
        return (head is not None and now - head > self.limits.head_seconds) or (
            stall is not None and now - stall > self.limits.stall_seconds
        )


def guarded(limits: Limits) -> type[Any]:
    """The class of connections for one server."""
    return type("GuardedBy", (Guarded,), {"limits": limits, "live": set(), "told": {}, "sweeper": None})
