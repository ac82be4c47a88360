"""The application: raw ASGI. Decides on the raw path and method only, after the key, and refuses by default."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from gateway import chat, wire
from gateway.engine import FAILURES, Engine, engine_failed
from gateway.errors import Refusal
from gateway.keys import Key, KeyRing, RouteName
from gateway.log import event
from gateway.passages import Passages
from gateway.settings import Settings, load_policy

_STREAM_HEADERS = [(b"x-accel-buffering", b"no")]


@dataclass
class Exchange:
    """One request: its ends, and the metadata the log gets."""

    scope: wire.Scope
    receive: wire.Receive
    send: wire.Send
    route: str = "none"
    key: Key | None = None
    status: int = 0
    code: str | None = None
    stream: bool = False
    bytes_in: int = 0
    bytes_out: int = 0

    async def sending(self, message: wire.Message) -> None:
        """Send, and count."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
        self.bytes_out += len(message.get("body", b""))
        await self.send(message)


Handler = Callable[[Exchange, Key], Awaitable[None]]


class Gateway:
    """The ASGI application. `settings` and the policy files are read once, the key file whenever it changes."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._policy, self._prompt = load_policy(settings.policy_file)
        self._keys = KeyRing(settings.keys_file)
        self._in_flight = 0
        self._started = int(time.time())
        self._routes: dict[str, tuple[Handler, RouteName]] = {
            "POST /v1/chat/completions": (self._chat, "chat"),
            "GET /v1/models": (self._models, "models"),
        }

    async def __call__(self, scope: wire.Scope, receive: wire.Receive, send: wire.Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(Exchange(scope, receive, send))

    async def _lifespan(self, receive: wire.Receive, send: wire.Send) -> None:
        await receive()
        self._engine = Engine(self._settings.engine_url, self._settings.chat_model, self._policy.limits)
        self._passages = Passages(self._settings.rag_socket, self._policy)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._engine.close()
        await self._passages.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _http(self, exchange: Exchange) -> None:
        route = f"{exchange.scope['method']} {exchange.scope['raw_path'].decode('latin-1')}"
        if route == "GET /healthz":
            await self._healthz(exchange)
            return
        began = time.monotonic()
        await self._answered(exchange, route)
        event(
            "request",
            key=exchange.key.id if exchange.key else None, route=exchange.route, status=exchange.status, code=exchange.code,
            stream=exchange.stream, bytes_in=exchange.bytes_in, bytes_out=exchange.bytes_out, ms=round((time.monotonic() - began) * 1000),
        )  # fmt: skip

    async def _answered(self, exchange: Exchange, route: str) -> None:
        """Whatever happens inside, the client gets our words and the log a code: an exception's text may quote the request."""
        try:
            await self._authorised(exchange, route)
        except wire.Gone:
            exchange.status, exchange.code = 499, "client_gone"
        except Refusal as refusal:
            await self._refuse(exchange, refusal)
        except Exception as error:  # the last line of defence of a server
            event("failure", error=_where(error))
            await self._refuse(exchange, Refusal(500, "internal_error", "The gateway failed."))

    async def _refuse(self, exchange: Exchange, refusal: Refusal) -> None:
        exchange.code = refusal.code
        if exchange.status == 0:
            await wire.answer(exchange.sending, refusal.status, refusal.body(), refusal.headers())
        elif exchange.stream:
            body = b"data: " + refusal.body() + b"\n\n"
            await exchange.sending({"type": "http.response.body", "body": body})

    async def _authorised(self, exchange: Exchange, route: str) -> None:
        exchange.key = key = self._keys.find(exchange.scope["headers"])
        key.check(datetime.now(UTC))
        handler, name = self._routes.get(route, (None, None)) if route in self._policy.routes else (None, None)
        if handler is None or name is None:
            raise Refusal(404, "unknown_route", "There is nothing here.")
        exchange.route = route
        if not key.may(name):
            raise Refusal(403, "route_not_allowed", "This key is not good for this kind of request.")
        await handler(exchange, key)

    async def _healthz(self, exchange: Exchange) -> None:
        """Ready: a key is in force, and the engine answers and has the model."""
        ready = len(self._keys) > 0 and await self._engine.ready()
        state = b'{"status":"ready"}' if ready else b'{"status":"not_ready"}'
        await wire.answer(exchange.send, 200 if ready else 503, state)

    async def _models(self, exchange: Exchange, key: Key) -> None:
        names = [self._settings.chat_model] if key.may_use(self._settings.chat_model) else []
        models = [{"id": name, "object": "model", "created": self._started, "owned_by": "citadelle"} for name in names]
        await wire.answer(exchange.sending, 200, orjson.dumps({"object": "list", "data": models}))

    async def _chat(self, exchange: Exchange, key: Key) -> None:
        if self._in_flight >= self._policy.limits.in_flight:
            raise Refusal(429, "busy", "Too many questions at once.", retry_after=2)
        self._in_flight += 1
        try:
            request = await self._request(exchange, key)
            exchange.stream = request.stream
            await wire.unless_gone(exchange.receive, self._relay(exchange, request))
        finally:
            self._in_flight -= 1

    async def _request(self, exchange: Exchange, key: Key) -> chat.Chat:
        kind = (wire.header(exchange.scope, b"content-type") or b"").split(b";")[0].strip().lower()
        encoded = any(name == b"content-encoding" for name, _ in exchange.scope["headers"])
        if kind != wire.JSON or encoded:
            raise Refusal(415, "unsupported_media_type", "The body has to be plain application/json.")
        limits = self._policy.limits
        body = await wire.read_body(exchange.scope, exchange.receive, limits.body_bytes, limits.body_seconds)
        exchange.bytes_in = len(body)
        model = self._settings.chat_model
        return chat.parse(body, model if key.may_use(model) else None, self._policy)

    async def _relay(self, exchange: Exchange, request: chat.Chat) -> None:
        fenced = await self._passages.fenced(request.question)
        body = request.engine_body(self._settings.chat_model, self._prompt, fenced)
        kind = wire.EVENTS if request.stream else wire.JSON
        async with self._engine.chat(body, kind.decode()) as response:
            if not request.stream:
                await wire.answer(exchange.sending, 200, await self._engine.whole(response))
                return
            await wire.start(exchange.sending, 200, kind, _STREAM_HEADERS)
            await _stream(response.content.iter_any(), exchange)


async def _stream(chunks: AsyncIterator[bytes], exchange: Exchange) -> None:
    """Bytes in, bytes out. An engine that breaks off ends the stream with an error event and without [DONE]."""
    try:
        async for chunk in chunks:
            await exchange.sending({"type": "http.response.body", "body": chunk, "more_body": True})
    except FAILURES:
        raise engine_failed() from None
    await exchange.sending({"type": "http.response.body", "body": b""})


def _where(error: BaseException) -> str:
    """`TypeName file:line` of the innermost frame: enough to find a bug, nothing of what was asked."""
    frame = error.__traceback__
    while frame and frame.tb_next:
        frame = frame.tb_next
    place = f" {frame.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{frame.tb_lineno}" if frame else ""
    return f"{type(error).__name__}{place}"
