"""A request that costs, from the key that may ask to the last byte of the answer: admitted, checked, queued, relayed, settled."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from gateway import embeddings, unanswered, wire
from gateway.audit import Trail
from gateway.beats import Beats
from gateway.chat import Chat, check_model
from gateway.citations import filtered, told, written
from gateway.engine import CHAT, EMBEDDINGS, Engine, engine_failed
from gateway.errors import Refusal
from gateway.exchange import Exchange
from gateway.keys import Key
from gateway.limits import Limiter, Ticket, Use, busy
from gateway.output import STOPPED, Output
from gateway.passages import Passages, fence, wanted
from gateway.relay import Relay
from gateway.settings import Rules, Settings
from gateway.strict import parse
from gateway.verdict import Verdict

CUT = "answer_cut"  # for log and audit: the output filter has ended this answer
NO_ANSWER = "no_answer"  # the same: the documents do not contain it
_BYTES_PER_TOKEN = 4  # a guess, for what is reserved; the engine's own count settles it
Fields = dict[str, Any]
Answer = Callable[[Fields, Ticket], Awaitable[None]]


class Inference:
    """The way to the engine. Create inside the running loop. `rules` may be replaced by `adopt` at any time."""

    def __init__(self, settings: Settings, rules: Rules, limiter: Limiter, trail: Trail | None) -> None:
        self._trail, self._settings, self._limiter = trail, settings, limiter
        self.engine = Engine(settings.engine_url, settings.chat_model, rules.policy.limits)
        self._passages = Passages(settings, rules.policy)
        self.verdict = Verdict(settings.verdict_file)
        self.adopt(rules)

    def adopt(self, rules: Rules) -> None:
        """Take other rules, from the next request on."""
        self._rules = rules
        self.engine.adopt(rules.policy.limits)
        self._slots = asyncio.Semaphore(rules.policy.limits.in_flight)

    def close(self) -> None:
        """Close the connections."""
        self.engine.close()
        self._passages.close()

    async def ready(self) -> bool:
        """Whether the model files are right, the engine would answer, and the audit would take a record."""
        return self.verdict.good() and await self.engine.ready() and (self._trail is None or await self._trail.ready())

    async def chat(self, exchange: Exchange, key: Key) -> None:
        """Answer a chat. Raise Refusal or Gone; the budgets are right in any case."""
        rules = self._rules

        async def answer(fields: Fields, ticket: Ticket) -> None:
            request = exchange.api.read(fields, rules.policy)
            exchange.stream = request.stream
            await wire.unless_gone(exchange.scope, self._chat(exchange, key, request, ticket, rules))

        await self._admitted(exchange, key, self._settings.chat_model, answer)

    async def embed(self, exchange: Exchange, key: Key) -> None:
        """Answer with vectors. Raise Refusal or Gone."""
        rules = self._rules

        async def answer(fields: Fields, ticket: Ticket) -> None:
            texts = embeddings.read(fields, rules.policy, drop=exchange.api.not_of_embeddings(rules.policy))
            await wire.unless_gone(exchange.scope, self._embed(exchange, texts, ticket))

        await self._admitted(exchange, key, self._settings.embed_model, answer)

    async def _admitted(self, exchange: Exchange, key: Key, model: str | None, answer: Answer) -> None:
        self.verdict.check()
        ticket = self._limiter.enter(key)
        refused = 0
        try:
            body = await self._body(exchange)
            exchange.model = model
            if self._trail:  # on its way to the record while the request is read and its body for the engine is made
                exchange.opening = self._trail.open(exchange.beginning())
            fields = self._parsed(body)
            check_model(fields, model if model and key.may_use(model) else None)
            await answer(fields, ticket)
        except Refusal as refusal:
            refused = refusal.status
            raise
        finally:
            exchange.used = _used(exchange, ticket, refused)
            ticket.settle(exchange.used)

    async def fields(self, exchange: Exchange) -> Fields:
        """The JSON object that the client sent. Raise Refusal (400, 408, 413, 415) or Gone."""
        return self._parsed(await self._body(exchange))

    def _parsed(self, body: bytes) -> Fields:
        return parse(body, self._rules.policy.limits.json_depth)

    async def _body(self, exchange: Exchange) -> bytes:
        headers = exchange.headers
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if b"content-encoding" in headers or kind not in exchange.api.kinds:
            raise Refusal(415, "unsupported_media_type", "The body has to be plain application/json.")
        limits = self._rules.policy.limits
        body = await wire.read_body(
            exchange.scope,
            headers.get(b"content-length", b""),
            exchange.receive,
            limits.body_bytes,
            limits.body_seconds,
        )
        exchange.bytes_in = len(body)
        return body

    async def _chat(self, exchange: Exchange, key: Key, request: Chat, ticket: Ticket, rules: Rules) -> None:
        model, found = self._settings.chat_model, None
        if wanted(request, key):
            await self._opened(exchange)  # the engine may be asked for a vector
            found = await self._passages.found(request, key, rules.policy)
            exchange.passages = bool(found)
        output = filtered(found, rules.secrets, rules.policy.answers.hosts)
        if found == []:
            await self._unanswered(exchange, request, ticket, rules)
            return
        if most := request.options.get("max_tokens"):
            request.options["max_tokens"] = ticket.most_out(most)
        body = request.engine_body(model, rules.prompt, fence(found or (), rules.policy))
        ticket.reserve(Use(0, len(body) // _BYTES_PER_TOKEN, request.options.get("max_tokens", 0)))
        slots = await self._slot(rules.policy.limits.queue_seconds)
        try:
            await self._opened(exchange)
            if request.stream:
                writer = written(exchange.api.stream(request, model, exchange.began), output)
                relay = Relay(writer, output, exchange.counted)
                await self._stream(exchange, body, relay, ticket, rules.policy.limits.heartbeat_seconds)
                exchange.code = CUT if relay.cut else None
            else:
                await self._answer(exchange, ticket, _whole(await self._asked(exchange, CHAT, body), output, exchange))
        finally:
            slots.release()

    async def _unanswered(self, exchange: Exchange, request: Chat, ticket: Ticket, rules: Rules) -> None:
        """Say that the documents do not contain the answer, in the form of one; the engine is not asked."""
        said = unanswered.answer(rules.policy.rag.none, str(exchange.model), exchange.id, stream=request.stream)
        output, exchange.answered = filtered((), rules.secrets, rules.policy.answers.hosts), True
        if request.stream:
            writer = written(exchange.api.stream(request, str(exchange.model), exchange.began), output)
            relay = Relay(writer, output, exchange.counted)
            body = relay.feed(said) + relay.finish()
            ticket.settle(_used(exchange, ticket, 0))
            await wire.start(exchange.sending, 200, exchange.api.kind, [])
            await exchange.sending({"type": "http.response.body", "body": body})
        else:
            await self._answer(exchange, ticket, _whole(said, output, exchange))
        exchange.code = NO_ANSWER

    async def _asked(self, exchange: Exchange, path: str, body: bytes) -> bytes:
        """The engine's whole answer."""
        answer = await self.engine.ask(path, body, wire.JSON)
        try:
            exchange.answered = True
            return await self.engine.whole(answer)
        finally:
            self.engine.release(answer)

    async def _stream(self, exchange: Exchange, body: bytes, relay: Relay, ticket: Ticket, beat: int) -> None:
        """The answer as it comes; with a `beat`, a sign of life each so many seconds while nothing comes."""
        async with Beats(exchange, relay, beat) as beats:
            answer = await self.engine.ask(CHAT, body, wire.EVENTS)
            try:
                exchange.answered = True
                await beats.start()
                await relay.run(answer, beats.send)
                last = relay.finish()
            finally:
                self.engine.release(answer)
        ticket.settle(_used(exchange, ticket, 0))
        await exchange.sending({"type": "http.response.body", "body": last})

    async def _embed(self, exchange: Exchange, texts: embeddings.Texts, ticket: Ticket) -> None:
        model = str(exchange.model)
        body = texts.engine_body(model)
        ticket.reserve(Use(0, len(body) // _BYTES_PER_TOKEN, 0))
        slots = await self._slot(self._rules.policy.limits.queue_seconds)
        try:
            await self._opened(exchange)
            raw = await self._asked(exchange, EMBEDDINGS, body)
        finally:
            slots.release()
        try:
            vectors = embeddings.checked(raw, len(texts.texts))
        except (ValueError, KeyError, TypeError):
            raise engine_failed() from None
        exchange.counted.read(vectors)
        exchange.counted.completion_tokens = 0
        await self._answer(exchange, ticket, exchange.api.embedded(vectors, texts, model, exchange.began))

    async def _opened(self, exchange: Exchange) -> None:
        """Nothing is asked of the engine before this. Raise Refusal (503)."""
        if self._trail and exchange.opening:
            await self._trail.opened(exchange.opening)

    async def _answer(self, exchange: Exchange, ticket: Ticket, body: bytes) -> None:
        """Settled before the client can know: its next request finds the place free."""
        ticket.settle(_used(exchange, ticket, 0))
        await wire.answer(exchange.sending, 200, body)

    async def _slot(self, seconds: float) -> asyncio.Semaphore:
        """One of the places at the engine, in the order of coming, to be released. Raise Refusal (503) when none gets free in time."""
        slots = self._slots
        if not slots.locked():
            await slots.acquire()
            return slots
        try:
            async with asyncio.timeout(seconds):
                await slots.acquire()
        except TimeoutError:
            raise busy() from None
        return slots


def _used(exchange: Exchange, ticket: Ticket, refused: int) -> Use:
    """What a request costs: nothing unless the engine answered; but a request that was the client's own mistake counts as one."""
    if not exchange.answered:
        return Use(requests=int(400 <= refused < 429))
    counted, reserved = exchange.counted, ticket.reserved
    tokens_in = reserved.tokens_in if counted.prompt_tokens is None else counted.prompt_tokens
    return Use(1, tokens_in, counted.events if counted.completion_tokens is None else counted.completion_tokens)


def _whole(raw: bytes, output: Output, exchange: Exchange) -> bytes:
    """A whole answer, counted, filtered, and in the form of the client's API. Raise Refusal (502)."""
    try:
        answer = orjson.loads(raw)
        exchange.counted.read(answer)
        changed = False
        for choice in answer["choices"]:
            changed |= output.whole(choice)
            if output.stopped:
                choice["finish_reason"], changed = STOPPED, True
        exchange.code = CUT if output.stopped else None
        return told(exchange.api.whole(raw, answer, changed, str(exchange.model), exchange.began), output)
    except (orjson.JSONDecodeError, AttributeError, TypeError, KeyError, IndexError):
        raise engine_failed() from None
