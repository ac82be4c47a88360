"""OpenAI's API: how its requests are read, and how answers, streams and errors look to its clients.

Shapes: https://platform.openai.com/docs/api-reference/chat
"""

import base64
import struct
from collections.abc import Sequence
from typing import Any

import orjson

from gateway import chat
from gateway.counted import Counted
from gateway.embeddings import Texts
from gateway.errors import Refusal
from gateway.settings import Policy
from gateway.wire import EVENTS, JSON

END = b"\n\n"
Fields = dict[str, Any]
_KINDS = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class Stream:
    """A streamed answer: the engine's own bytes, unless the filter had to change an event."""

    def __init__(self, show_usage: bool) -> None:
        self._show_usage = show_usage

    def event(self, raw: bytes, chunk: Fields, changed: bool) -> bytes:
        """One event with choices; `raw` is what the engine sent."""
        return (b"data: " + orjson.dumps(chunk) if changed else raw) + END

    def usage(self, raw: bytes) -> bytes:
        """The event that only counts; the gateway always asks for it, the client may not have."""
        return raw + END if self._show_usage else b""

    def beat(self) -> bytes:
        """A sign of life, which a client has to ignore."""
        return b": keep-alive" + END

    def end(self, counted: Counted) -> bytes:
        """The end of the answer."""
        return b"data: [DONE]" + END


class Api:
    """`POST /v1/chat/completions`; `models`, `embedded` and `error` are of all routes below /v1."""

    kind = EVENTS
    kinds = (JSON,)

    def not_of_embeddings(self, policy: Policy) -> frozenset[str]:
        """Fields of /v1/embeddings that are swallowed."""
        return policy.fields.drop

    def read(self, request: Fields, policy: Policy) -> chat.Chat:
        """Raise Refusal (400)."""
        return chat.read(request, policy)

    def stream(self, request: chat.Chat, model: str, began: float) -> Stream:
        """The writer of a streamed answer."""
        return Stream(request.show_usage)

    def whole(self, raw: bytes, answer: Fields, changed: bool, model: str, began: float) -> bytes:
        """A whole answer."""
        return orjson.dumps(answer) if changed else raw

    def embedded(self, answer: Fields, texts: Texts, model: str, began: float) -> bytes:
        """Vectors, as numbers or in base64."""
        data = [
            {"object": "embedding", "index": place, "embedding": _packed(vector) if texts.packed else vector}
            for place, vector in enumerate(answer["vectors"])
        ]
        used = answer["tokens"]
        usage = {"prompt_tokens": used, "total_tokens": used}
        return orjson.dumps({"object": "list", "data": data, "model": model, "usage": usage})

    def models(self, names: Sequence[str], started: int) -> bytes:
        """`GET /v1/models`."""
        data = [{"id": name, "object": "model", "created": started, "owned_by": "citadelle"} for name in names]
        return orjson.dumps({"object": "list", "data": data})

    def error(self, refusal: Refusal) -> bytes:
        """`{"error": {message, type, param, code}}` as JSON bytes."""
        kind = _KINDS.get(refusal.status, "server_error" if refusal.status >= 500 else "invalid_request_error")
        error = {"message": refusal.message, "type": kind, "param": refusal.param, "code": refusal.code}
        return orjson.dumps({"error": error})

    def broken(self, refusal: Refusal) -> bytes:
        """An error after the stream has begun."""
        return b"data: " + self.error(refusal) + END


def _packed(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
