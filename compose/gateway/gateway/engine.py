"""The engine behind the gateway: Ollama or llama.cpp's server, both by OpenAI's API. Nothing of the client's headers goes there."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import orjson

from gateway.errors import Refusal, bad_request, engine_unavailable
from gateway.settings import Limits

FAILURES = (aiohttp.ClientError, TimeoutError, OSError)
_READY_SECONDS = (
    2.0  # how long an answer about the engine's state is good for: /healthz needs no key and must stay cheap
)


class Engine:
    """One pooled HTTP client towards one fixed address. Create inside the running loop."""

    def __init__(self, url: str, model: str, limits: Limits) -> None:
        self._url, self._model, self._limits = url, model, limits
        self._ready, self._asked = False, float("-inf")
        self._lock = asyncio.Lock()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=limits.in_flight + 2, ttl_dns_cache=10),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, connect=limits.connect_seconds, sock_read=limits.idle_seconds),
            headers={"Accept-Encoding": "identity"},
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    @asynccontextmanager
    async def chat(self, body: bytes, content_type: str) -> AsyncIterator[aiohttp.ClientResponse]:
        """The engine's answer to a chat request, of the content type asked for. Raise Refusal (400, 502, 503, 504)."""
        headers = {"Content-Type": "application/json", "Accept": content_type}
        try:
            response = await self._session.post(
                f"{self._url}/v1/chat/completions", data=body, headers=headers, allow_redirects=False
            )
        except aiohttp.SocketTimeoutError:
            raise Refusal(504, "engine_timeout", "The engine took too long.") from None
        except FAILURES:
            raise engine_unavailable() from None
        try:
            _check(response, content_type)
            yield response
        finally:
            response.close()  # closes the connection unless the answer was read to its end: the engine stops computing

    async def whole(self, response: aiohttp.ClientResponse) -> bytes:
        """The whole answer, bounded. Raise Refusal (502)."""
        parts, size = [], 0
        try:
            async for chunk in response.content.iter_any():
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
        timeout = aiohttp.ClientTimeout(total=self._limits.connect_seconds)
        try:
            async with self._session.get(f"{self._url}/v1/models", timeout=timeout, allow_redirects=False) as response:
                listed = orjson.loads(await response.read())
            return response.status == 200 and self._model in {entry["id"] for entry in listed["data"]}
        except (*FAILURES, ValueError, KeyError, TypeError):
            return False


def engine_failed() -> Refusal:
    """A 502: the engine broke off."""
    return Refusal(502, "engine_failed", "The engine failed to answer.")


def _check(response: aiohttp.ClientResponse, content_type: str) -> None:
    """The engine's own words are not passed on: they may quote the prompt."""
    if response.status == 503:
        raise engine_unavailable()
    if response.status == 400:
        raise bad_request("engine_refused", "The engine refused the request; is the conversation too long?")
    if response.status != 200 or response.content_type != content_type:
        raise engine_failed()
