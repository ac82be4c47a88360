"""The application: raw ASGI. Decides on the raw path and method only, after the key, and refuses by default."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import yaml
from pydantic import ValidationError

from gateway import completions, ollama, openai, wire
from gateway.audit import Trail
from gateway.errors import Refusal
from gateway.exchange import GONE, Api, Exchange
from gateway.inference import Inference
from gateway.keys import Key, KeyRing, RouteName
from gateway.limits import Limiter
from gateway.log import event
from gateway.metrics import Metrics
from gateway.settings import Rules, Settings

Handler = Callable[[Exchange, Key], Awaitable[None]]
OPENAI, COMPLETIONS, OLLAMA, GENERATE = openai.Api(), completions.Api(), ollama.Api(), ollama.Api("response")


class Gateway:
    """The ASGI application. The policy's files are read at the start and at SIGHUP, the key file whenever it changes."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.rules = Rules.load(settings.policy_file)
        self._keys = KeyRing(settings.keys_file)
        self._limiter = Limiter(self.rules.policy)
        self._started = int(time.time())
        self._under_way = 0
        self._metrics = Metrics(
            {"requests_under_way": lambda: self._under_way, "keys": lambda: len(self._keys), "audit_kept": self._kept}
        )
        self._trail: Trail | None = None
        self._routes: dict[str, tuple[Handler, RouteName, Api]] = {
            "POST /v1/chat/completions": (self._chat, "chat", OPENAI),
            "POST /v1/completions": (self._chat, "chat", COMPLETIONS),
            "POST /v1/embeddings": (self._embed, "embeddings", OPENAI),
            "GET /v1/models": (self._models, "models", OPENAI),
            "POST /api/chat": (self._chat, "chat", OLLAMA),
            "POST /api/generate": (self._chat, "chat", GENERATE),
            "POST /api/embed": (self._embed, "embeddings", OLLAMA),
            "GET /api/tags": (self._models, "models", OLLAMA),
            "POST /api/show": (self._show, "models", OLLAMA),
            "GET /api/version": (self._version, "models", OLLAMA),
            "HEAD /": (self._alive, "models", OLLAMA),
        }

    async def __call__(self, scope: wire.Scope, receive: wire.Receive, send: wire.Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            api = OLLAMA if scope["raw_path"].startswith(b"/api/") else OPENAI
            await self._http(Exchange(scope, receive, send, api, wire.headers(scope)))

    async def _lifespan(self, receive: wire.Receive, send: wire.Send) -> None:
        await receive()
        settings = self._settings
        if settings.audit_socket:
            self._trail = Trail(settings.audit_socket, self.rules.versions, self._limiter.restore, self._keys.ids)
        self._inference = Inference(settings, self.rules, self._limiter, self._trail)
        stop = self._metrics.serve(settings.host, settings.metrics_port) if settings.metrics_port else None
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self.reload)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._inference.close()
        if stop:
            stop()
        if self._trail:
            await self._trail.close()
        await send({"type": "lifespan.shutdown.complete"})

    def reload(self) -> None:
        """Read the policy anew. A bad one is refused and the old one stays; requests under way keep the one they began with."""
        try:
            rules = Rules.load(self._settings.policy_file)
        except (OSError, ValidationError, ValueError, yaml.YAMLError) as error:
            event("reload_refused", error=type(error).__name__)
            return
        self.rules = rules
        self._limiter.adopt(rules.policy)
        self._inference.adopt(rules)
        if self._trail:
            self._trail.adopt(rules.versions)
        event("reloaded")

    async def _http(self, exchange: Exchange) -> None:
        route = f"{exchange.scope['method']} {exchange.scope['raw_path'].decode('latin-1')}"
        if route == "GET /healthz":
            await self._healthz(exchange)
            return
        self._under_way += 1
        try:
            await self._answered(exchange, route)
        finally:
            self._under_way -= 1
            self._recorded(exchange)
        event(
            "request",
            id=exchange.id, route=exchange.route, status=exchange.status, code=exchange.code, stream=exchange.stream,
            bytes_in=exchange.bytes_in, bytes_out=exchange.bytes_out, ms=exchange.milliseconds,
        )  # fmt: skip

    def _recorded(self, exchange: Exchange) -> None:
        self._metrics.count(exchange)
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
            await wire.answer(exchange.sending, refusal.status, exchange.api.error(refusal), refusal.headers())
        elif exchange.stream:
            await exchange.sending({"type": "http.response.body", "body": exchange.api.broken(refusal)})

    async def _authorised(self, exchange: Exchange, route: str) -> None:
        key = self._identified(exchange)
        found = self._routes.get(route) if route in self.rules.policy.routes else None
        if found is None:
            raise Refusal(404, "unknown_route", "There is nothing here.")
        handler, name, exchange.api = found
        exchange.route = route
        if not key.may(name):
            raise Refusal(403, "route_not_allowed", "This key is not good for this kind of request.")
        await handler(exchange, key)

    def _identified(self, exchange: Exchange) -> Key:
        """The key in force that the request brings. Raise Refusal (401, 429); the log gets the id of one that no longer is."""
        try:
            exchange.key = self._keys.find(exchange.headers)
            exchange.key.check(datetime.now(UTC))
        except Refusal:
            self._limiter.stranger()
            raise
        return exchange.key

    async def _healthz(self, exchange: Exchange) -> None:
        """Ready: a key is in force, the model files are right, requests can be recorded, and the engine answers and has the model."""
        ready = len(self._keys) > 0 and await self._inference.ready()
        state = b'{"status":"ready"}' if ready else b'{"status":"not_ready"}'
        if not self._inference.verdict.good():
            state = b'{"status":"not_ready","reason":"models_unverified"}'
        await wire.answer(exchange.send, 200 if ready else 503, state)

    def _served(self, key: Key) -> list[str]:
        """The models that this key may use."""
        models = (self._settings.chat_model, self._settings.embed_model)
        return [model for model in models if model and key.may_use(model)]

    async def _models(self, exchange: Exchange, key: Key) -> None:
        await wire.answer(exchange.sending, 200, exchange.api.models(self._served(key), self._started))

    async def _show(self, exchange: Exchange, key: Key) -> None:
        wanted = await self._inference.fields(exchange)
        if (wanted.get("model") or wanted.get("name")) not in self._served(key):
            raise Refusal(404, "model_not_found", "This model is not served here.")
        await wire.answer(exchange.sending, 200, ollama.shown())

    async def _version(self, exchange: Exchange, _key: Key) -> None:
        await wire.answer(exchange.sending, 200, b'{"version":"%s"}' % ollama.VERSION.encode())

    async def _alive(self, exchange: Exchange, _key: Key) -> None:
        await wire.answer(exchange.sending, 200, b"")

    def _chat(self, exchange: Exchange, key: Key) -> Awaitable[None]:
        return self._inference.chat(exchange, key)

    def _embed(self, exchange: Exchange, key: Key) -> Awaitable[None]:
        return self._inference.embed(exchange, key)

    def _kept(self) -> int:
        return self._trail.kept if self._trail else 0


def _where(error: BaseException) -> str:
    """`TypeName file:line` of the innermost frame: enough to find a bug, nothing of what was asked."""
    frame = error.__traceback__
    while frame and frame.tb_next:
        frame = frame.tb_next
    place = f" {frame.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{frame.tb_lineno}" if frame else ""
    return f"{type(error).__name__}{place}"
