"""The engine behind the gateway: Ollama or llama.cpp's server, both by OpenAI's API. Nothing of the client's headers goes there."""

import asyncio
import time

import orjson

from gateway.errors import Refusal, bad_request, engine_unavailable
from gateway.settings import Limits
from gateway.upstream import FAILURES, Connection, Upstream
from gateway.wire import JSON

CHAT, EMBEDDINGS = "/v1/chat/completions", "/v1/embeddings"
# How long an answer about the engine's state is good for: /healthz needs no key and must stay cheap.
_READY_SECONDS = 2.0


class Engine:
    """One pool of connections towards one fixed address. Create inside the running loop."""

    def __init__(self, url: str, model: str, limits: Limits) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        self._model, self._ready, self._asked = model, False, float("-inf")
        self._lock = asyncio.Lock()
        self.upstream = Upstream((host, int(port)), limits.connect_seconds, limits.idle_seconds)
        self.adopt(limits)

    def adopt(self, limits: Limits) -> None:
        """Take other limits, from the next request on."""
        self._limits = limits
        self.upstream.connect_seconds, self.upstream.idle_seconds = limits.connect_seconds, limits.idle_seconds

    def close(self) -> None:
        """Close the connections."""
        self.upstream.close()

    async def ask(self, path: str, body: bytes, kind: bytes) -> Connection:
        """The engine's answer, of the content type asked for, to be given back by `release`. Raise Refusal (400, 502, 503, 504)."""
        try:
            connection = await self.upstream.ask("POST", path, body, kind.decode())
        except TimeoutError:
            raise Refusal(504, "engine_timeout", "The engine took too long.") from None
        except FAILURES:
            raise engine_unavailable() from None
        try:
            _check(connection, kind)
        except Refusal:
            self.release(connection)
            raise
        return connection

    def release(self, connection: Connection) -> None:
        """Done with this answer; one that was not read to its end ends the engine's work."""
        self.upstream.release(connection)

    async def whole(self, connection: Connection) -> bytes:
        """The whole answer, bounded. Raise Refusal (502)."""
        parts, size = [], 0
        try:
            while chunk := await connection.read():
                size += len(chunk)
                if size > self._limits.answer_bytes:
                    raise Refusal(502, "answer_too_large", "The engine's answer is too large.")
                parts.append(chunk)
        except FAILURES:
            raise engine_failed() from None
        return b"".join(parts)

    async def ready(self) -> bool:
        """Whether the engine answers and has the model; asked at most every two seconds."""
        async with self._lock:
            if time.monotonic() - self._asked > _READY_SECONDS:
                self._ready = await self._probe()
                self._asked = time.monotonic()
        return self._ready

    async def _probe(self) -> bool:
        try:
            async with asyncio.timeout(self._limits.connect_seconds):
                answer = await self.upstream.ask("GET", "/v1/models", b"", JSON.decode())
                try:
                    listed = orjson.loads(await self.whole(answer))
                finally:
                    self.release(answer)
            return answer.status == 200 and self._model in {entry["id"] for entry in listed["data"]}
        except (*FAILURES, Refusal, ValueError, KeyError, TypeError):
            return False


def engine_failed() -> Refusal:
    """A 502: the engine broke off."""
    return Refusal(502, "engine_failed", "The engine failed to answer.")


def _check(answer: Connection, kind: bytes) -> None:
    """The engine's own words are not passed on: they may quote the prompt."""
    if answer.status == 503:
        raise engine_unavailable()
    if answer.status == 400:
        raise bad_request("engine_refused", "The engine refused the request; is the conversation too long?")
    if answer.status != 200 or answer.kind != kind:
        raise engine_failed()
