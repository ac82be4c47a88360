"""A gateway in this process on a loopback socket, in front of the engine's double."""

import asyncio
import hashlib
import hmac
import json
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import uvicorn
import yaml
from gateway.__main__ import config
from gateway.app import Gateway
from gateway.settings import Policy, Settings, load_policy

from .double import EngineDouble, running

POLICIES = Path(__file__).resolve().parents[2] / "policies"
KEY = "ck_" + "k" * 43
PEPPER = "5e" * 32
MODEL = "smollm2:135m-instruct"
EMBED = "e5:small"
CHAT = "/v1/chat/completions"


@dataclass
class Stack:
    """The gateway's address and files, and the engine behind it."""

    url: str
    port: int
    engine: EngineDouble
    keys_file: Path
    prompt: str
    client: aiohttp.ClientSession

    async def ask(self, content: Any = "hello", *, key: str | None = KEY, **fields: Any) -> tuple[int, Any, Any]:
        """POST a chat; status, headers and the decoded body."""
        body = {"model": MODEL, "messages": [{"role": "user", "content": content}]} | fields
        return await self.post(json.dumps(body), key=key)

    @property
    def bearer(self) -> dict[str, str]:
        """The header that brings the key."""
        return {"Authorization": f"Bearer {KEY}"}

    @property
    def json(self) -> dict[str, str]:
        """The same, for a JSON body."""
        return self.bearer | {"Content-Type": "application/json"}

    async def send(self, path: str, body: Any) -> tuple[int, Any]:
        """POST JSON (or a text as it is) anywhere; status and decoded body."""
        data = body if isinstance(body, str) else json.dumps(body)
        async with self.client.post(self.url + path, data=data, headers=self.json) as response:
            return response.status, json.loads(await response.read())

    async def get(self, path: str) -> tuple[int, Any]:
        """GET anything; status and decoded body."""
        async with self.client.get(self.url + path, headers=self.bearer) as response:
            return response.status, json.loads(await response.read())

    async def post(self, data: str | bytes, *, key: str | None = KEY, **headers: str) -> tuple[int, Any, Any]:
        """POST raw bytes to the chat route."""
        fields = {"Content-Type": "application/json"} | headers | ({"Authorization": f"Bearer {key}"} if key else {})
        async with self.client.post(self.url + CHAT, data=data, headers=fields) as response:
            text = await response.text()
            is_json = response.content_type == "application/json"
            return response.status, response.headers, json.loads(text) if is_json else text


def write_keys(path: Path, *keys: str, **scope: Any) -> None:
    """Write a key file for these keys, all of the same scope, and its pepper."""
    path.with_name("pepper").write_text(PEPPER)
    entries = [{"id": f"user{i}", "hmac": digest(key)} | scope for i, key in enumerate(keys)]
    path.write_text(json.dumps({"keys": entries}))


def limited(stack: Stack, **limits: int) -> None:
    """Give the key other limits."""
    write_keys(stack.keys_file, KEY, limits=limits)


def digest(key: str) -> str:
    """What the key file holds of a key."""
    return hmac.digest(bytes.fromhex(PEPPER), key.encode(), hashlib.sha256).hex()


@pytest.fixture(scope="session")
def policy() -> Policy:
    """The policy as it is shipped."""
    return load_policy(POLICIES / "gateway.yaml")[0]


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    """A copy of the policy files, to be changed by a test."""
    for name in ("gateway.yaml", "system-prompt.md", "system-prompt.fr.md"):
        shutil.copy(POLICIES / name, tmp_path / name)
    return tmp_path


def change_policy(policies: Path, section: str, **values: Any) -> None:
    """Set values in a section of gateway.yaml."""
    path = policies / "gateway.yaml"
    policy = yaml.safe_load(path.read_text("utf-8"))
    policy[section] |= values
    path.write_text(yaml.safe_dump(policy, allow_unicode=True), "utf-8")


def add_routes(policies: Path, *routes: str) -> None:
    """Open more routes in gateway.yaml."""
    path = policies / "gateway.yaml"
    policy = yaml.safe_load(path.read_text("utf-8"))
    policy["routes"] += routes
    path.write_text(yaml.safe_dump(policy, allow_unicode=True), "utf-8")


Run = Callable[..., None]


@pytest.fixture
def run(policies: Path, tmp_path: Path) -> Run:
    """Run an async scenario against a fresh stack, at most 30 seconds: `run(scenario, mode=..., rag_socket=..., engine_url=...)`."""

    def start(
        scenario: Callable[[Stack], Awaitable[None]],
        mode: str | int = "answer",
        *,
        seconds: float = 30,
        **settings: Any,
    ) -> None:
        write_keys(tmp_path / "keys.json", KEY, groups=["staff"])
        asyncio.run(asyncio.wait_for(_whole(scenario, mode, policies, tmp_path / "keys.json", settings), seconds))

    return start


async def _whole(scenario: Any, mode: str | int, policies: Path, keys_file: Path, changes: dict[str, Any]) -> None:
    async with running(EngineDouble(MODEL, mode)) as engine:
        values = {"engine_url": engine.url, "chat_model": MODEL, "host": "127.0.0.1", "port": 0} | changes
        settings = Settings(policy_file=policies / "gateway.yaml", keys_file=keys_file, **values)
        prompt = load_policy(settings.policy_file)[1]
        async with serving(settings) as port, aiohttp.ClientSession() as client:
            await scenario(Stack(f"http://127.0.0.1:{port}", port, engine, keys_file, prompt, client))


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[int]:
    """The gateway under the server it ships with; yields its port. Without its main loop, which looks for signals ten times a second."""
    listener = socket.create_server(("127.0.0.1", 0))
    configured = config(Gateway(settings), settings)
    configured.load()
    server = uvicorn.Server(configured)
    server.lifespan = configured.lifespan_class(configured)
    await server.startup(sockets=[listener])
    assert server.started, "the gateway did not start"
    try:
        yield listener.getsockname()[1]
    finally:
        await server.shutdown(sockets=[listener])
