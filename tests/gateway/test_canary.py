"""A secret in a prompt, a document and an answer: found in nothing that the gateway leaves behind, also where it breaks or is killed."""

import asyncio
import json
import secrets
import signal
import socket
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from .conftest import CHAT, KEY, MODEL, add_routes, write_keys
from .double import EngineDouble, event, running, tool_call
from .receiver import Receiver, receiving
from .test_log import environment
from .test_passages import PASSAGE, rag_double

PROMPT, DOCUMENT, ANSWER = (f"{name}{secrets.token_hex(8)}" for name in ("prompt", "document", "answer"))
# What an engine may say: an answer whole and streamed, a call of a tool, nonsense in which the text stands too.
SAID: list[dict[str, Any]] = [
    {"answer": {"role": "assistant", "content": ANSWER}},
    {"answer": tool_call(ANSWER, ANSWER)},
    {"events": [event(ANSWER[:9]), event(ANSWER[9:])]},
    {"events": [b"data: " + ANSWER.encode() + b"\n\n"]},
    {"events": [b'data: {"error": "' + ANSWER.encode() + b'"}\n\n']},
    {"events": [b'data: {"choices": "' + ANSWER.encode() + b'"}\n\n']},
    {"answer": {"content": {ANSWER: ANSWER}}},
    {"mode": 500},
    {"mode": "break"},
]


class Broken(EngineDouble):
    """Says what SAID tells, one after the other."""

    turn = -1

    def next(self) -> None:
        """Another of them."""
        self.turn += 1
        self.mode, self.answer, self.events = "answer", None, None
        for name, value in SAID[self.turn].items():
            setattr(self, name, value)


@asynccontextmanager
async def process(folder: Path, **settings: str) -> AsyncIterator[tuple[Process, str]]:
    """`python -m gateway`, its output kept; its address."""
    with socket.create_server(("127.0.0.1", 0)) as free, socket.create_server(("127.0.0.1", 0)) as other:
        port, metrics = free.getsockname()[1], other.getsockname()[1]
    env = environment(
        folder, GATEWAY_PORT=str(port), GATEWAY_METRICS_PORT=str(metrics), PYTHONFAULTHANDLER="1", **settings
    )
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", env=env, stdout=PIPE, stderr=STDOUT, cwd=folder, limit=1 << 24
    )
    try:
        async with aiohttp.ClientSession() as client, asyncio.timeout(20):
            while True:
                try:
                    await client.get(f"http://127.0.0.1:{port}/healthz")
                except aiohttp.ClientError:
                    await asyncio.sleep(0.05)
                else:
                    break
        yield started, f"http://127.0.0.1:{port}"
    finally:
        if started.returncode is None:
            started.kill()
        await started.wait()


async def ask_all(url: str, engine: Broken) -> set[int]:
    """Every kind of answer by both APIs; statuses."""
    seen, message = set(), {"role": "user", "content": PROMPT}
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as client:
        for number in range(len(SAID)):
            engine.next()
            for path, stream in ((CHAT, False), (CHAT, True), ("/api/chat", True), ("/v1/completions", False)):
                prompt = (
                    {"prompt": PROMPT}
                    if path.endswith("completions") and path != CHAT
                    else {"messages": [message], "rag": True}
                )
                async with client.post(
                    url + path, json={"model": MODEL, "stream": stream, "seed": number} | prompt
                ) as got:
                    seen.add(got.status)
                    try:
                        await got.read()
                    except aiohttp.ClientError:
                        continue
        for body in (PROMPT, json.dumps({"model": PROMPT}), json.dumps({"model": MODEL, PROMPT: PROMPT})):
            async with client.post(url + CHAT, data=body, headers={"Content-Type": "application/json"}) as got:
                seen.add(got.status)
    return seen


def left(folder: Path, texts: dict[str, str]) -> list[tuple[str, str]]:
    """Where a canary is found: in a file below the folder, in what somebody said, or in what the kernel tells of the process."""
    for file in folder.rglob("*"):
        if file.is_file():
            texts[str(file)] = file.read_bytes().decode("latin-1")
    return [(name, canary) for name, text in texts.items() for canary in (PROMPT, DOCUMENT, ANSWER) if canary in text]


async def whole_life(folder: Path, receiver: Receiver) -> None:
    document = {"passages": [PASSAGE | {"text": DOCUMENT, "title": DOCUMENT}]}
    engine, texts = Broken(MODEL), {}
    sockets = {"GATEWAY_RAG_SOCKET": str(folder / "rag.sock"), "GATEWAY_AUDIT_SOCKET": str(receiver.socket)}
    async with running(engine), rag_double(folder / "rag.sock", document) as asked:
        settings = {"GATEWAY_ENGINE_URL": engine.url, "GATEWAY_POLICY_FILE": str(folder / "gateway.yaml"), **sockets}
        async with process(folder, **settings) as (gateway, url):
            assert await ask_all(url, engine) >= {200, 400, 404, 502}
            # All three were there: asked, fenced into the prompt, and said.
            assert PROMPT in str(asked)
            assert DOCUMENT in str(engine.requests)
            async with aiohttp.ClientSession() as client:
                metrics_port = _environment(gateway)["GATEWAY_METRICS_PORT"]
                async with client.get(f"http://127.0.0.1:{metrics_port}/metrics") as got:
                    texts["metrics"] = await got.text()
            texts["environment"] = json.dumps(_environment(gateway))
            texts["arguments"] = Path(f"/proc/{gateway.pid}/cmdline").read_text()
            # Cut down in the middle of an answer, by a signal after which a program tells where it was.
            engine.mode, engine.answer, engine.events = "hang", None, None
            asking = asyncio.create_task(_ask(url))
            count = len(engine.requests)
            while len(engine.requests) == count:
                await asyncio.sleep(0.01)
            gateway.send_signal(signal.SIGABRT)
            texts["output"] = (await gateway.communicate())[0].decode()
            asking.cancel()
    assert "gateway_request" in texts["metrics"]
    assert texts["output"].count('"event":"request"') >= len(SAID) * 4
    assert "Fatal Python error: Aborted" in texts["output"]
    receiver.stop()
    assert len(receiver.records()) >= len(SAID) * 4
    assert left(folder, texts) == []


def _environment(process: Process) -> dict[str, str]:
    pairs = Path(f"/proc/{process.pid}/environ").read_text().split("\0")
    return dict(pair.split("=", 1) for pair in pairs if pair)


async def _ask(url: str) -> None:
    body = {"model": MODEL, "messages": [{"role": "user", "content": PROMPT}]}
    async with aiohttp.ClientSession() as client, client.post(url + CHAT, json=body, headers={"x-api-key": KEY}) as got:
        await got.read()


@pytest.mark.lab
def test_no_secret_of_a_conversation_is_left_anywhere(policies: Path) -> None:
    add_routes(policies, "POST /v1/completions")
    write_keys(policies / "keys.json", KEY, groups=["staff"])
    with receiving(policies / "audit") as receiver:
        asyncio.run(asyncio.wait_for(whole_life(policies, receiver), 60))
