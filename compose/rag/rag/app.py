"""The application: raw ASGI, three routes (POST /search, GET /status, GET /healthz), everything else refused."""

import sys
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import orjson
from pydantic import ValidationError

from rag.figures import Figures
from rag.search import Index, Query, WrongVector
from rag.store import StoreError

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

BODY_BYTES = 64 * 1024


class Refused(Exception):
    """A request that gets an error: HTTP status and a fixed code. Nothing of the request is repeated or logged."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status, self.code = status, code


class App:
    """The ASGI application over one index."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self.figures = Figures(index)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        if scope["type"] != "http":
            return
        began, outcome = time.monotonic(), "failed"
        try:
            status, answer = 200, await self._answer(scope, receive)
            outcome = answer.get("by", "")
        except Refused as refused:
            status, answer, outcome = refused.status, {"error": refused.code}, "refused"
        except StoreError:
            status, answer = 503, {"error": "index_broken"}
        except Exception as error:  # the last line of defence of a server: an exception's text may quote the question
            print(f"rag: failure: {type(error).__name__}", file=sys.stderr)
            status, answer = 500, {"error": "failed"}
        if scope["raw_path"] == b"/search" and outcome:
            self.figures.count(outcome, time.monotonic() - began)
        await _send(send, status, orjson.dumps(answer))

    async def _answer(self, scope: MutableMapping[str, Any], receive: Receive) -> dict[str, Any]:
        route = (scope["method"], scope["raw_path"])
        if route == ("GET", b"/healthz"):
            self._index.status()
            return {"status": "ready"}
        if route == ("GET", b"/status"):
            return self._index.status().model_dump()
        if route != ("POST", b"/search"):
            raise Refused(404, "unknown_route")
        query = _query(await _body(receive))
        try:
            return self._index.search(query).model_dump()
        except WrongVector:
            raise Refused(400, "wrong_vector") from None


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
