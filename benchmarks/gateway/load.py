"""The client: requests over connections of its own, each connection's next one as soon as its last is answered."""

import asyncio
import json
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_GOOD = b"HTTP/1.1 200"
QUESTION = {"model": "m", "messages": [{"role": "user", "content": "What is the capital of France?"}]}


def request(key: str, **fields: Any) -> bytes:
    """A chat as bytes."""
    body = json.dumps(QUESTION | fields).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def complete(data: bytes) -> bool:
    """Whether a whole answer has come. Raises RuntimeError for one that is none."""
    if len(data) < len(_GOOD):
        return False
    if not data.startswith(_GOOD):
        raise RuntimeError(f"not an answer: {data[:300]!r}")
    head, end, body = data.partition(b"\r\n\r\n")
    if not end:
        return False
    declared = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
    return len(body) >= int(declared) if declared else body.endswith(b"0\r\n\r\n")


def one_by_one(port: int, asked: bytes, count: int) -> list[float]:
    """Milliseconds of each request over one connection: a plain socket, so that little of them is the client's."""
    took = []
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(count):
            start, data = time.perf_counter(), b""
            line.sendall(asked)
            while not complete(data):
                data += line.recv(1 << 16)
            took.append((time.perf_counter() - start) * 1000)
    return sorted(took)


@dataclass
class Line(asyncio.Protocol):
    """One connection that asks `left` times."""

    asked: bytes
    left: int
    over: Callable[[Exception | None], None]
    data: bytes = b""
    pieces: int = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.transport.write(self.asked)

    def data_received(self, data: bytes) -> None:
        """Collect; ask again when the answer is whole."""
        self.data += data
        self.pieces += 1
        try:
            if not complete(self.data):
                return
        except RuntimeError as error:
            self.transport.abort()
            self.over(error)
            return
        self.data, self.left = b"", self.left - 1
        if self.left:
            self.transport.write(self.asked)
        else:
            self.transport.close()
            self.over(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Too early, if something is left."""
        if self.left:
            self.over(exc or ConnectionResetError())


async def together(port: int, asked: bytes, lines: int, each: int) -> list[Line]:
    """`lines` connections that ask `each` times; when all are answered."""
    loop, made, waiting = asyncio.get_running_loop(), [], []
    for _ in range(lines):
        done = loop.create_future()
        waiting.append(done)

        def over(error: Exception | None, done: asyncio.Future[None] = done) -> None:
            if not done.done():
                done.set_exception(error) if error else done.set_result(None)

        made.append((await loop.create_connection(lambda over=over: Line(asked, each, over), "127.0.0.1", port))[1])
    await asyncio.gather(*waiting)
    return made


async def cancelled(port: int, asked: bytes, count: int) -> None:
    """`count` streams, eight at a time, each left after the first event."""

    async def leave() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(asked)
        await reader.readuntil(b"word ")
        writer.transport.abort()

    for _ in range(count // 8):
        await asyncio.gather(*(leave() for _ in range(8)))
