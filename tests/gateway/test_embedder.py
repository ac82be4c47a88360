"""Vectors for the job that has no network: over a socket, of one model, for texts and nothing else."""

import asyncio
import json
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import uvicorn
from gateway.embedder import Embedder, listening
from rag.embedder import Embedder as Client
from rag.embedder import EmbedderError

from .conftest import MODEL
from .double import EngineDouble, running

EMBED = "multilingual-e5-small"
Ask = Callable[..., Awaitable[tuple[int, Any]]]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "embed.sock"


def run(place: Path, scenario: Callable[[EngineDouble, Ask], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with asyncio.timeout(30), running(EngineDouble(MODEL)) as engine:
            server = uvicorn.Server(uvicorn.Config(Embedder(engine.url, EMBED), lifespan="on", log_level="warning"))
            task = asyncio.create_task(server.serve(sockets=[listening(place)]))
            async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(place))) as client:

                async def ask(body: Any, path: str = "/v1/embeddings", method: str = "POST") -> tuple[int, Any]:
                    data = body if isinstance(body, bytes) else json.dumps(body).encode()
                    async with client.request(method, f"http://localhost{path}", data=data) as answer:
                        return answer.status, await answer.json()

                await scenario(engine, ask)
            server.should_exit = True
            await task

    asyncio.run(whole())


def test_texts_become_vectors_and_the_engine_gets_nothing_else(place: Path) -> None:
    async def scenario(engine: EngineDouble, ask: Ask) -> None:
        found = await asyncio.to_thread(Client(str(place), EMBED).texts, ["one", "two"])
        assert found.shape == (2, 2)
        assert engine.requests == [
            {"model": EMBED, "input": ["passage: one", "passage: two"], "encoding_format": "float"}
        ]
        assert stat.S_IMODE(place.stat().st_mode) == 0o660
        engine.vectors = False
        assert (await ask({"model": EMBED, "input": ["x"]}))[0] == 502
        with pytest.raises(EmbedderError, match="status 502"):
            await asyncio.to_thread(Client(str(place), EMBED).texts, ["x"])

    run(place, scenario)


WRONG: list[Any] = [
    b"", b"{", b"[]", {}, {"model": EMBED}, {"model": MODEL, "input": ["x"]}, {"model": EMBED, "input": "x"}, {"model": EMBED, "input": []},
    {"model": EMBED, "input": [""]}, {"model": EMBED, "input": ["x"] * 65}, {"model": EMBED, "input": ["x" * 20_001]},
    {"model": EMBED, "input": [1]}, {"model": EMBED, "input": ["x"], "keep_alive": 0},
]  # fmt: skip
NOWHERE = (
    ("POST", "/v1/chat/completions"),
    ("POST", "/api/pull"),
    ("GET", "/v1/embeddings"),
    ("DELETE", "/api/delete"),
    ("POST", "//v1/embeddings"),
)


def test_nothing_else_can_be_asked(place: Path) -> None:
    async def scenario(engine: EngineDouble, ask: Ask) -> None:
        for body in WRONG:
            assert (await ask(body))[0] == 400, body
        for method, path in NOWHERE:
            assert (await ask({"model": EMBED, "input": ["x"]}, path, method))[0] == 404, path
        assert (await ask(b" " * (9 << 20)))[0] == 413
        assert engine.requests == []

    run(place, scenario)
