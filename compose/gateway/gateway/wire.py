"""The ASGI edge: read a bounded body, send an answer, notice that the client has gone."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, cast

from gateway.errors import Refusal

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = dict[bytes, bytes]
Fields = list[tuple[bytes, bytes]]

JSON = b"application/json"
EVENTS = b"text/event-stream"
_SAFE: Fields = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]
# After the limit this much more is read and thrown away, so that an honest client gets to read the refusal.
_DRAIN_FACTOR = 2


class Gone(Exception):
    """The client closed the connection."""


def headers(scope: Scope) -> Headers:
    """The request's headers; one that occurs twice has the value b""."""
    found: Headers = {}
    for name, value in scope["headers"]:
        found[name] = b"" if name in found else value
    return found


async def read_body(scope: Scope, declared: bytes, receive: Receive, limit: int, seconds: float) -> bytes:
    """The whole body, at most `limit` bytes within `seconds`. `declared`: its Content-Length. Raise Refusal (408, 413) or Gone."""
    length, guard = int(declared) if declared.isdigit() else 0, scope["guard"]
    if guard.body is not None and len(guard.body) <= limit:
        return bytes(guard.body)
    if guard.whole:
        return await _collect(receive, limit, length)
    try:
        async with asyncio.timeout(seconds):
            return await _collect(receive, limit, length)
    except TimeoutError:
        raise Refusal(408, "body_too_slow", "The request body did not arrive in time.") from None


async def _collect(receive: Receive, limit: int, declared: int) -> bytes:
    parts: list[bytes] = []
    size, more, ceiling = 0, declared <= limit * _DRAIN_FACTOR, limit * _DRAIN_FACTOR
    while more and size <= ceiling:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        chunk = message.get("body", b"")
        size += len(chunk)
        if size <= limit:
            parts.append(chunk)
        more = message.get("more_body", False)
    if max(size, declared) > limit:
        raise Refusal(413, "body_too_large", f"The request body is larger than {limit} bytes.")
    return b"".join(parts)


async def start(send: Send, status: int, content_type: bytes, headers: Fields) -> None:
    """Send the head of an answer."""
    fields = [(b"content-type", content_type), *_SAFE, *headers]
    await send({"type": "http.response.start", "status": status, "headers": fields})


async def answer(send: Send, status: int, body: bytes, headers: Fields | None = None) -> None:
    """Send a whole JSON answer."""
    await start(send, status, JSON, [(b"content-length", str(len(body)).encode()), *(headers or [])])
    await send({"type": "http.response.body", "body": body})


async def unless_gone(scope: Scope, work: Awaitable[None]) -> None:
    """Await `work`; raise Gone and cancel it as soon as the client disconnects."""
    mine, guard = cast("asyncio.Task[None]", asyncio.current_task()), scope["guard"]
    guard.on_lost = mine.cancel
    try:
        if guard.lost:
            mine.cancel()
        await work
    except asyncio.CancelledError:
        if guard.lost:
            mine.uncancel()
            raise Gone from None
        raise
    finally:
        guard.on_lost = None
