"""The application: raw ASGI. Decides on the raw path and method only, after the key, and refuses by default."""

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import orjson

from gateway import wire
from gateway.audit import Trail
from gateway.errors import Refusal
from gateway.exchange import GONE, Exchange
from gateway.inference import Inference
from gateway.keys import Key, KeyRing, RouteName
from gateway.limits import Limiter
from gateway.log import event
from gateway.settings import Settings, load_policy, versions

Handler = Callable[[Exchange, Key], Awaitable[None]]


class Gateway:
    """The ASGI application. `settings` and the policy files are read once, the key file whenever it changes."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._policy, self._prompt = load_policy(settings.policy_file)
        self._versions = versions(settings.policy_file, self._prompt)
        self._keys = KeyRing(settings.keys_file)
        self._limiter = Limiter(self._policy)
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
        socket = self._settings.audit_socket
        self._trail = Trail(socket, self._versions, self._limiter.restore) if socket else None
        self._inference = Inference(self._settings, self._policy, self._prompt, self._limiter, self._trail)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._inference.close()
        if self._trail:
            await self._trail.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _http(self, exchange: Exchange) -> None:
        route = f"{exchange.scope['method']} {exchange.scope['raw_path'].decode('latin-1')}"
        if route == "GET /healthz":
            await self._healthz(exchange)
            return
        await self._answered(exchange, route)
        self._recorded(exchange)
        event(
            "request",
            key=exchange.holder, route=exchange.route, status=exchange.status, code=exchange.code, stream=exchange.stream,
            bytes_in=exchange.bytes_in, bytes_out=exchange.bytes_out, ms=exchange.milliseconds,
        )  # fmt: skip

    def _recorded(self, exchange: Exchange) -> None:
        if self._trail and exchange.code == "too_many_strangers":
            self._trail.skip()
        elif self._trail:
            self._trail.note(exchange.record())

    async def _answered(self, exchange: Exchange, route: str) -> None:
        """Whatever happens inside, the client gets our words and the log a code: an exception's text may quote the request."""
        try:
            if self._trail:
                self._trail.check()
            await self._authorised(exchange, route)
        except wire.Gone:
            exchange.status, exchange.code = GONE, "client_gone"
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
        key = self._identified(exchange)
        handler, name = self._routes.get(route, (None, None)) if route in self._policy.routes else (None, None)
        if handler is None or name is None:
            raise Refusal(404, "unknown_route", "There is nothing here.")
        exchange.route = route
        if not key.may(name):
            raise Refusal(403, "route_not_allowed", "This key is not good for this kind of request.")
        await handler(exchange, key)

    def _identified(self, exchange: Exchange) -> Key:
        """The key in force that the request brings. Raise Refusal (401, 429); the log gets the id of one that no longer is."""
        try:
            exchange.key = self._keys.find(exchange.scope["headers"])
            exchange.key.check(datetime.now(UTC))
        except Refusal:
            self._limiter.stranger()
            raise
        return exchange.key

    async def _healthz(self, exchange: Exchange) -> None:
        """Ready: a key is in force, requests can be recorded, and the engine answers and has the model."""
        ready = len(self._keys) > 0 and await self._inference.ready()
        state = b'{"status":"ready"}' if ready else b'{"status":"not_ready"}'
        await wire.answer(exchange.send, 200 if ready else 503, state)

    async def _models(self, exchange: Exchange, key: Key) -> None:
        names = [self._settings.chat_model] if key.may_use(self._settings.chat_model) else []
        models = [{"id": name, "object": "model", "created": self._started, "owned_by": "citadelle"} for name in names]
        await wire.answer(exchange.sending, 200, orjson.dumps({"object": "list", "data": models}))

    async def _chat(self, exchange: Exchange, key: Key) -> None:
        await self._inference.answer(exchange, key)


def _where(error: BaseException) -> str:
    """`TypeName file:line` of the innermost frame: enough to find a bug, nothing of what was asked."""
    frame = error.__traceback__
    while frame and frame.tb_next:
        frame = frame.tb_next
    place = f" {frame.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{frame.tb_lineno}" if frame else ""
    return f"{type(error).__name__}{place}"
