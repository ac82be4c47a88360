"""A recording double of the engine: speaks just enough of OpenAI's API, remembers every byte it was sent."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

TOKENS = ("The ", "capital ", "is ", "Paris.")
USAGE = {"prompt_tokens": 300, "completion_tokens": 4, "total_tokens": 304}


@dataclass
class EngineDouble:
    """`mode` says how the next chat is answered: answer, hang, endless, break, redirect, or an HTTP status."""

    model: str
    mode: str | int = "answer"
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    peers: set[Any] = field(default_factory=set)  # connections that chats came by
    usage: dict[str, int] | None = field(default_factory=lambda: dict(USAGE))
    answer: dict[str, Any] | None = None  # said instead of TOKENS: a message
    events: list[bytes] | None = None  # sent instead of the TOKENS' events
    probes: int = 0
    vectors: bool = True
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    more: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    async def models(self, _request: web.Request) -> web.Response:
        """The list of models."""
        self.probes += 1
        return web.json_response({"object": "list", "data": [{"id": self.model, "object": "model"}]})

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """Record, then answer by `mode`; `gone` is set when the client leaves before the end."""
        self.requests.append(orjson.loads(await request.read()))
        self.peers.add(request.transport and request.transport.get_extra_info("peername"))
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        try:
            return await self._answer(request, self.requests[-1])
        except (asyncio.CancelledError, ConnectionResetError):
            self.gone.set()
            raise

    async def embeddings(self, request: web.Request) -> web.Response:
        """The same vector for each text, as long as there are `vectors`."""
        self.requests.append(orjson.loads(await request.read()))
        if not self.vectors:
            return web.json_response({"error": "no such model"}, status=404)
        data = [{"index": place, "embedding": [0.5, 3.0]} for place, _ in enumerate(self.requests[-1]["input"])]
        return web.json_response({"data": data[::-1], "usage": {"prompt_tokens": 3, "total_tokens": 3}})

    async def _answer(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if isinstance(self.mode, int):
            return web.json_response({"error": f"cannot: {body['messages'][-1]['content']}"}, status=self.mode)
        if self.mode == "redirect":
            raise web.HTTPFound("http://127.0.0.1:1/elsewhere")
        if self.mode == "hang":
            await asyncio.sleep(60)
        if body["stream"]:
            return await self._stream(request, body)
        message = self.answer or {"role": "assistant", "content": "".join(TOKENS)}
        answer = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
        return web.json_response(answer | ({"usage": self.usage} if self.usage else {}))

    async def _stream(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Server": "engine-inside"})
        await response.prepare(request)
        for part in self._events():
            await response.write(part)
            if self.mode == "stepwise":
                await self.more.wait()
                self.more.clear()
        while self.mode == "endless":
            await response.write(event("more "))
            await asyncio.sleep(0.01)
        if self.mode == "break":
            assert request.transport
            request.transport.abort()
            return response
        if self.usage and body.get("stream_options", {}).get("include_usage"):
            await response.write(b"data: " + orjson.dumps({"choices": [], "usage": self.usage}) + b"\n\n")
        await response.write(b"data: [DONE]\n\n")
        return response

    def _events(self) -> list[bytes]:
        if self.answer:
            return [b"data: " + orjson.dumps({"choices": [{"index": 0, "delta": self.answer}]}) + b"\n\n"]
        return [event(token) for token in TOKENS] if self.events is None else self.events


def event(token: str) -> bytes:
    """One SSE event of a streamed chat."""
    return b"data: " + orjson.dumps({"choices": [{"delta": {"content": token}}]}) + b"\n\n"


def tool_call(name: str, arguments: str) -> dict[str, Any]:
    """A message that calls a tool."""
    function = {"name": name, "arguments": arguments}
    return {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": function}],
    }


@asynccontextmanager
async def running(double: EngineDouble) -> AsyncIterator[EngineDouble]:
    """Serve the double on a loopback port; `double.url` is its address."""
    application = web.Application(client_max_size=1 << 24)
    application.router.add_get("/v1/models", double.models)
    application.router.add_post("/v1/chat/completions", double.chat)
    application.router.add_post("/v1/embeddings", double.embeddings)
    runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    double.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield double
    finally:
        await runner.cleanup()
