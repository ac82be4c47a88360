"""A chat, from the key that may ask to the last byte of the answer: admitted, checked, queued, relayed, settled."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson

from gateway import chat, wire
from gateway.audit import Trail
from gateway.engine import Engine, engine_failed
from gateway.errors import Refusal
from gateway.exchange import Exchange
from gateway.keys import Key
from gateway.limits import Limiter, Ticket, Use, busy
from gateway.passages import Passages
from gateway.relay import Events
from gateway.settings import Policy, Settings

_STREAM_HEADERS = [(b"x-accel-buffering", b"no")]
_BYTES_PER_TOKEN = 4  # a guess, for what is reserved; the engine's own count settles it


class Inference:
    """The way to the engine. Create inside the running loop."""

    def __init__(self, settings: Settings, policy: Policy, prompt: str, limiter: Limiter, trail: Trail | None) -> None:
        self._trail = trail
        self._model, self._policy, self._prompt, self._limiter = settings.chat_model, policy, prompt, limiter
        self.engine = Engine(settings.engine_url, settings.chat_model, policy.limits)
        self._passages = Passages(settings.rag_socket, policy)
        self._slots = asyncio.Semaphore(policy.limits.in_flight)

    async def close(self) -> None:
        """Close the connections."""
        await self.engine.close()
        await self._passages.close()

    async def ready(self) -> bool:
        """Whether the engine would answer, and the audit would take a record."""
        return await self.engine.ready() and (self._trail is None or await self._trail.ready())

    async def answer(self, exchange: Exchange, key: Key) -> None:
        """Answer a chat request. Raise Refusal or Gone; the budgets are right in any case."""
        ticket = self._limiter.enter(key)
        refused = 0
        try:
            request = await self._request(exchange, key)
            exchange.stream = request.stream
            await wire.unless_gone(exchange.receive, self._relay(exchange, request, ticket))
        except Refusal as refusal:
            refused = refusal.status
            raise
        finally:
            exchange.used = _used(exchange, ticket, refused)
            ticket.settle(exchange.used)

    async def _request(self, exchange: Exchange, key: Key) -> chat.Chat:
        kind = (wire.header(exchange.scope, b"content-type") or b"").split(b";")[0].strip().lower()
        encoded = any(name == b"content-encoding" for name, _ in exchange.scope["headers"])
        if kind != wire.JSON or encoded:
            raise Refusal(415, "unsupported_media_type", "The body has to be plain application/json.")
        limits = self._policy.limits
        body = await wire.read_body(exchange.scope, exchange.receive, limits.body_bytes, limits.body_seconds)
        exchange.bytes_in = len(body)
        exchange.model = self._model
        return chat.parse(body, self._model if key.may_use(self._model) else None, self._policy)

    async def _relay(self, exchange: Exchange, request: chat.Chat, ticket: Ticket) -> None:
        if self._trail:
            await self._trail.open(exchange.beginning())
        fenced = await self._passages.fenced(request.question)
        exchange.passages = bool(fenced)
        if most := request.options.get("max_tokens"):
            request.options["max_tokens"] = ticket.most_out(most)
        body = request.engine_body(self._model, self._prompt, fenced)
        ticket.reserve(Use(0, len(body) // _BYTES_PER_TOKEN, request.options.get("max_tokens", 0)))
        kind = wire.EVENTS if request.stream else wire.JSON
        async with self._slot(), self.engine.chat(body, kind.decode()) as response:
            exchange.answered = True
            if request.stream:
                await wire.start(exchange.sending, 200, kind, _STREAM_HEADERS)
                events = Events(request.show_usage, exchange.counted)
                await _stream(events.through(response.content.iter_any()), exchange)
                answer = b""
            else:
                answer = _read(await self.engine.whole(response), exchange)
            ticket.settle(
                _used(exchange, ticket, 0)
            )  # before the client can know: its next request finds the place free
            await _end(answer, exchange)

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        """One of the places at the engine, in the order of coming. Raise Refusal (503) when none gets free in time."""
        try:
            async with asyncio.timeout(self._policy.limits.queue_seconds):
                await self._slots.acquire()
        except TimeoutError:
            raise busy() from None
        try:
            yield
        finally:
            self._slots.release()


def _used(exchange: Exchange, ticket: Ticket, refused: int) -> Use:
    """What a request costs: nothing unless the engine answered; but a request that was the client's own mistake counts as one."""
    if not exchange.answered:
        return Use(requests=int(400 <= refused < 429))
    counted, reserved = exchange.counted, ticket.reserved
    tokens_in = reserved.tokens_in if counted.prompt_tokens is None else counted.prompt_tokens
    return Use(1, tokens_in, counted.events if counted.completion_tokens is None else counted.completion_tokens)


def _read(answer: bytes, exchange: Exchange) -> bytes:
    try:
        exchange.counted.read(orjson.loads(answer))
    except orjson.JSONDecodeError:
        raise engine_failed() from None
    return answer


async def _stream(events: AsyncIterator[bytes], exchange: Exchange) -> None:
    """An engine that breaks off ends the stream with an error event and without [DONE]."""
    async for event in events:
        await exchange.sending({"type": "http.response.body", "body": event, "more_body": True})


async def _end(answer: bytes, exchange: Exchange) -> None:
    if exchange.stream:
        await exchange.sending({"type": "http.response.body", "body": answer})
    else:
        await wire.answer(exchange.sending, 200, answer)
