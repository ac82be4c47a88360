"""A small HTTP/1.1 client towards one fixed address: bytes of an answer as they come, and a connection that ends with its request.

Own, because what a general client does for any address (redirects, cookies, proxies, decoding, sessions) is not wanted towards this one
and cost more processor time than all the rest of the gateway. The protocol itself is read by httptools, as on the other side.
"""

import asyncio
from pathlib import Path

import httptools

FAILURES = (OSError, TimeoutError, httptools.HttpParserError)
_IDLE_SECONDS = 4.0  # a kept connection older than this is not used again: llama.cpp's server ends one after five
_BUFFER_BYTES = 1 << 18
_SWEEP_SECONDS = 0.5


class Connection(asyncio.Protocol):
    """One connection, one request at a time. `status` and `kind` (the content type) are there once `head` is done."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop, self.lost, self._spoilt = loop, False, False
        self._transport: asyncio.Transport
        self._waiter: asyncio.Future[None] | None = None
        self._parser = httptools.HttpResponseParser(self)  # good for one answer after the other, as long as it is whole
        self._begin()

    def _begin(self) -> None:
        self.status, self.kind, self.whole, self.touched, self._stays = 0, b"", False, False, False
        self._parts: list[bytes] = []
        self._size = 0
        self._error: BaseException | None = None
        self.last = self._loop.time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self.fail(exc if isinstance(exc, OSError) else ConnectionResetError())

    def data_received(self, data: bytes) -> None:
        self.last, self.touched = self._loop.time(), True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._spoilt = True
            self.fail(error)
        else:
            self._wake()
            if self._size > _BUFFER_BYTES:
                self._transport.pause_reading()

    def on_message_begin(self) -> None:
        self._spoilt |= self.whole  # what comes after an answer belongs to none

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"content-type":
            self.kind = value.split(b";")[0].strip().lower()

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)
        self._size += len(body)

    def on_message_complete(self) -> None:
        self.whole = self.status >= 200  # after an informational answer the real one comes
        self._stays = self._parser.should_keep_alive()

    def fail(self, error: BaseException) -> None:
        """End the request with an error, unless its answer is complete."""
        if not self.whole:
            self._error = self._error or error
        self._wake()

    def _wake(self) -> None:
        if (waiter := self._waiter) and not waiter.done():
            waiter.set_result(None)

    def _wait(self) -> asyncio.Future[None]:
        """Done with the next news; whoever waited before was cancelled, or has its own."""
        self._waiter = waiter = self._loop.create_future()
        return waiter

    async def ask(self, request: bytes) -> None:
        """Send a request; returns with the head of its answer. Raise one of FAILURES."""
        self._begin()
        self._transport.write(request)
        while self.status < 200:
            if self._error:
                raise self._error
            await self._wait()

    async def read(self) -> bytes:
        """What has come since, at least a byte; empty at the end. Raise one of FAILURES."""
        while not self._parts:
            if self.whole:
                return b""
            if self._error:
                raise self._error
            await self._wait()
        parts = self._parts
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        if self._size > _BUFFER_BYTES:
            self._transport.resume_reading()
        self._size = 0
        parts.clear()
        return data

    @property
    def reusable(self) -> bool:
        """Whether another request may go this way now."""
        fresh = self._loop.time() - self.last < _IDLE_SECONDS
        return fresh and self.whole and self._stays and not (self._parts or self.lost or self._spoilt)

    def close(self) -> None:
        """End the connection at once: the other side stops working."""
        self._transport.abort()


class Upstream:
    """A pool of connections to a host and port, or to a Unix socket. Create inside the running loop."""

    def __init__(self, address: tuple[str, int] | Path, connect_seconds: float, idle_seconds: float) -> None:
        self._address, self.connect_seconds, self.idle_seconds = address, connect_seconds, idle_seconds
        self._loop = asyncio.get_running_loop()
        name = f"{address[0]}:{address[1]}" if isinstance(address, tuple) else "localhost"
        self._head = f"HTTP/1.1\r\nHost: {name}\r\nContent-Type: application/json"
        self._free: list[Connection] = []
        self.busy: set[Connection] = set()
        self._sweeper: asyncio.TimerHandle | None = None

    def close(self) -> None:
        """End all connections."""
        for connection in [*self._free, *self.busy]:
            connection.close()
        if self._sweeper:
            self._sweeper.cancel()

    async def ask(self, method: str, path: str, body: bytes, accept: str) -> Connection:
        """The connection with the head of the answer read, to be given back by `release`.

        A kept connection that the other side has ended meanwhile is no failure of the request: it goes again, on a new one.
        Raise one of FAILURES; TimeoutError for a silence of `idle_seconds`.
        """
        head = f"{method} {path} {self._head}\r\nAccept: {accept}\r\nContent-Length: {len(body)}\r\n\r\n"
        request = head.encode() + body
        while True:
            kept = self._kept()
            connection = kept or await self._connect()
            self._watch(connection)
            try:
                await connection.ask(request)
            except BaseException as error:
                self.release(connection)
                if not (kept and connection.lost and not connection.touched and isinstance(error, OSError)):
                    raise
            else:
                return connection

    async def post(self, path: str, body: bytes, at_most: int) -> bytes:
        """The answer to a POST, all of it. Raise as `ask`, or ValueError for another status than 200 or more than `at_most` bytes."""
        answer, content = await self.ask("POST", path, body, "application/json"), b""
        try:
            if answer.status != 200:
                raise ValueError("status")
            while chunk := await answer.read():
                content += chunk
                if len(content) > at_most:
                    raise ValueError("too large")
        finally:
            self.release(answer)
        return content

    def _kept(self) -> Connection | None:
        while self._free:
            connection = self._free.pop()
            if connection.reusable:
                return connection
            connection.close()
        return None

    async def _connect(self) -> Connection:
        async with asyncio.timeout(self.connect_seconds):
            if isinstance(self._address, tuple):
                _, made = await self._loop.create_connection(lambda: Connection(self._loop), *self._address)
            else:
                _, made = await self._loop.create_unix_connection(lambda: Connection(self._loop), str(self._address))
        return made

    def release(self, connection: Connection) -> None:
        """Keep it for the next request, or end it when its answer was not read to the end."""
        self.busy.discard(connection)
        if connection.reusable:
            self._free.append(connection)
        else:
            connection.close()

    def _watch(self, connection: Connection) -> None:
        self.busy.add(connection)
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(_SWEEP_SECONDS, self._sweep)

    def _sweep(self) -> None:
        """One timer for all, instead of one for each piece of each answer."""
        now = self._loop.time()
        for connection in self.busy:
            if now - connection.last > self.idle_seconds:
                connection.fail(TimeoutError())
        self._sweeper = self._loop.call_later(_SWEEP_SECONDS, self._sweep) if self.busy else None
