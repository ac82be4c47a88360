"""The application: raw ASGI, two routes (POST /search, GET /healthz), everything else refused."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import orjson
from pydantic import ValidationError

from rag.search import Query, search

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

BODY_BYTES = 64 * 1024


class Refused(Exception):
    """A request that gets an error: HTTP status and a fixed code. Nothing of the request is repeated or logged."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status, self.code = status, code


async def app(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    """Serve one HTTP request."""
    if scope["type"] != "http":
        return
    try:
        status, answer = 200, await _answer(scope, receive)
    except Refused as refused:
        status, answer = refused.status, {"error": refused.code}
    await _send(send, status, orjson.dumps(answer))


async def _answer(scope: MutableMapping[str, Any], receive: Receive) -> dict[str, Any]:
    route = (scope["method"], scope["raw_path"])
    if route == ("GET", b"/healthz"):
        return {"status": "ready"}
    if route != ("POST", b"/search"):
        raise Refused(404, "unknown_route")
    query = _query(await _body(receive))
    return {"passages": [passage.model_dump() for passage in search(query)]}


def _query(body: bytes) -> Query:
    try:
        return Query.model_validate_json(body)
    except ValidationError:
        raise Refused(400, "invalid_query") from None


async def _body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(400, "client_gone")
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > BODY_BYTES:
            raise Refused(413, "body_too_large")
    return body


async def _send(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
