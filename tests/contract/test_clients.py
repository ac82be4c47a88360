"""Genuine clients, unchanged, against the gateway with each genuine engine and a genuine model."""

import asyncio
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.gateway.conftest import KEY
from tests.lab import builds

from .running import ENGINES, MODEL, Gateway, clients, running_engine, running_gateway

pytestmark = [pytest.mark.docker, pytest.mark.lab]


@pytest.fixture(scope="module", params=ENGINES)
def gateway(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with (
        running_engine(request.param) as engine,
        running_gateway(tmp_path_factory.mktemp("gateway"), engine, request.param) as running,
    ):
        yield running


@pytest.fixture(scope="module")
def python() -> Path:
    return clients()


def errors(said: dict[str, Any]) -> dict[str, str]:
    """The calls that raised, and what."""
    return {name: value["error"] for name, value in said.items() if isinstance(value, dict) and "error" in value}


def vectors(gateway: Gateway, said: Any, error: str) -> None:
    """Vectors where the engine has a model for them, else that there is none."""
    if gateway.engine == "ollama":
        assert len(said) == 2
        assert said[0] == said[1] > 100
    else:
        assert said["error"] == error


def test_openai(gateway: Gateway, python: Path) -> None:
    said = gateway.said_to("openai", python)
    assert MODEL in said["models"]
    assert "Paris" in said["whole"]["text"]
    assert said["whole"]["usage"] > 20
    assert said["stream"] == {"text": said["whole"]["text"], "usage": []}
    assert said["stream with usage"] == {"text": said["whole"]["text"], "usage": [said["whole"]["usage"]]}
    assert "Paris" in said["prompt"]
    assert said["cancelled"]["seconds"] < 60  # the engine has one place: it was free again
    assert any(line["code"] == "client_gone" for line in gateway.events() if line["event"] == "request")
    expected = {"wrong model": "NotFoundError", "wrong key": "AuthenticationError", "wrong field": "BadRequestError"}
    if (
        gateway.engine == "ollama"
    ):  # it refuses tools of a model whose template has no place for them, and this one has none
        expected |= {"tools": "BadRequestError", "result of a tool": "BadRequestError"}
    else:
        expected |= {"vectors": "NotFoundError"}
    assert errors(said) == expected, said
    vectors(gateway, said["vectors"], "NotFoundError")


def test_ollama(gateway: Gateway, python: Path) -> None:
    said = gateway.said_to("ollama", python)
    assert MODEL in said["models"]
    assert "Paris" in said["whole"]["text"]
    assert said["whole"]["usage"] > 20
    assert said["stream"]["text"] == said["whole"]["text"]
    assert said["stream"]["usage"][0] > 0
    assert "Paris" in said["generate"]
    wrong = dict.fromkeys(["wrong model", "wrong key", "pull"], "ResponseError")
    more = ["tools"] if gateway.engine == "ollama" else ["vectors"]
    assert errors(said) == wrong | dict.fromkeys(more, "ResponseError"), said
    vectors(gateway, said["vectors"], "ResponseError")


def test_langchain(gateway: Gateway, python: Path) -> None:
    said = gateway.said_to("langchain", python)
    for name in ("openai", "ollama"):
        for call in ("whole", "stream", "own system message"):
            assert "Paris" in said[f"{name} {call}"]["text"], said
        assert "PWNED" not in said[f"{name} own system message"]["text"]
    vectors(gateway, said["openai vectors"], "NotFoundError")
    vectors(gateway, said["ollama vectors"], "ResponseError")


@contextmanager
def with_key(url: str) -> Iterator[int]:
    """A stand-in for the proxy that a client needs which cannot send a key, as the command `ollama` cannot: adds it; its port."""
    loop, ports = asyncio.new_event_loop(), []
    started = threading.Event()

    async def forward(request: web.Request) -> web.StreamResponse:
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": request.headers.get("Content-Type", "")}
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                request.method, url + request.path_qs, data=await request.read(), headers=headers
            ) as answer,
        ):
            response = web.StreamResponse(
                status=answer.status, headers={"Content-Type": answer.headers.get("Content-Type", "")}
            )
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            return response

    async def serve() -> None:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", forward)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        ports.append(runner.addresses[0][1])
        started.set()

    thread = threading.Thread(target=lambda: (loop.run_until_complete(serve()), loop.run_forever()), daemon=True)
    thread.start()
    assert started.wait(20)
    try:
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)


def test_the_command_ollama_run(gateway: Gateway) -> None:
    image = builds.engine("ollama").reference()
    with with_key(gateway.url) as port:
        host = f"OLLAMA_HOST=http://127.0.0.1:{port}"
        command = [
            "docker",
            "run",
            "--rm",
            "--network=host",
            f"--env={host}",
            "--env=HOME=/tmp",
            "--entrypoint=ollama",
            image,
        ]
        said, listed = (
            subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=300, check=False)
            for arguments in (["run", MODEL, "What is the capital of France?"], ["list"])
        )
    assert "Paris" in said.stdout, said
    assert MODEL in listed.stdout, listed
    routes = [line["route"] for line in gateway.events() if line["event"] == "request"]
    assert {"POST /api/show", "POST /api/generate", "HEAD /"} <= set(routes)
