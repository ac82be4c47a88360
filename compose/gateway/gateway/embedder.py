"""`python -m gateway.embedder`: vectors of documents' texts over a Unix socket, for the job that reads documents and has no network.

It runs beside that job and as long as it. One route, one model, texts in and vectors out: whoever takes the job over can ask for
vectors, and for nothing else. What it says to the engine is made anew from the texts.
"""

import asyncio
import os
import socket
import sys
from pathlib import Path
from typing import Any

import orjson
import uvicorn

from gateway import wire
from gateway.embeddings import Texts, checked
from gateway.errors import Refusal
from gateway.openai import Api
from gateway.upstream import FAILURES
from gateway.vectors import PATH, Vectors

SOCKET = Path("/run/embed/embed.sock")
_TEXTS, _CHARACTERS = 64, 20_000  # of one request, of one text
_BODY_BYTES = 8 << 20
_SECONDS = (5.0, 300.0)  # to connect; of silence: the model may have to be loaded


class Embedder:
    """The ASGI application. Its one model is the only one that a request may name."""

    def __init__(self, url: str, model: str) -> None:
        self._url, self._model = url, model
        self._vectors: Vectors

    async def __call__(self, scope: wire.Scope, receive: wire.Receive, send: wire.Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        try:
            await wire.answer(send, 200, await self._answer(scope, receive))
        except wire.Gone:
            return
        except Refusal as refusal:
            await wire.answer(send, refusal.status, Api().error(refusal))

    async def _lifespan(self, receive: wire.Receive, send: wire.Send) -> None:
        await receive()
        self._vectors = Vectors(self._url, self._model, "", *_SECONDS)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._vectors.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: wire.Scope, receive: wire.Receive) -> bytes:
        if (scope["method"], scope["raw_path"]) != ("POST", PATH.encode()):
            raise Refusal(404, "unknown_route", "There is nothing here.")
        texts = _texts(await _body(receive), self._model)
        try:
            answer = checked(await self._vectors.posted(Texts(texts).engine_body(self._model)), len(texts))
        except (*FAILURES, ValueError, KeyError, TypeError):
            raise Refusal(502, "engine_failed", "The engine gave no vectors.") from None
        rows = [{"index": place, "embedding": vector} for place, vector in enumerate(answer["vectors"])]
        return orjson.dumps({"data": rows})


def _texts(body: bytes, model: str) -> list[str]:
    try:
        asked: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        asked = None
    texts = asked.get("input") if isinstance(asked, dict) and asked.keys() == {"model", "input"} else None
    if (
        not isinstance(texts, list)
        or not 0 < len(texts) <= _TEXTS
        or asked["model"] != model
        or not all(map(_fits, texts))
    ):
        raise Refusal(400, "invalid_input", "The model of this place and a few texts were expected.")
    return texts


def _fits(text: Any) -> bool:
    return isinstance(text, str) and 0 < len(text) <= _CHARACTERS


async def _body(receive: wire.Receive) -> bytes:
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise wire.Gone
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        more = message.get("more_body", False)
        if size > _BODY_BYTES:
            raise Refusal(413, "body_too_large", "The texts are too large.")
    return b"".join(parts)


def listening(path: Path) -> socket.socket:
    """A socket for owner and group; a stale file is replaced. Raise OSError."""
    path.unlink(missing_ok=True)
    listener, before = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), os.umask(0o117)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    listener.listen(8)
    return listener


async def serve(application: Embedder, path: Path) -> None:
    """Until told to stop."""
    options: dict[str, Any] = {"loop": "uvloop", "http": "httptools", "ws": "none", "lifespan": "on"}
    quiet: dict[str, Any] = {
        "access_log": False,
        "log_level": "warning",
        "proxy_headers": False,
        "server_header": False,
    }
    await uvicorn.Server(uvicorn.Config(application, **options, **quiet)).serve(sockets=[listening(path)])


def main() -> int:
    """From the environment, as the gateway itself."""
    application = Embedder(os.environ["GATEWAY_ENGINE_URL"], os.environ["GATEWAY_EMBED_MODEL"])
    asyncio.run(serve(application, Path(os.environ.get("GATEWAY_EMBED_SOCKET", SOCKET))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
