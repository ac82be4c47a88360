"""Only the policy's routes exist, byte for byte; every trick with the path, the method or the host ends before the engine."""

import asyncio

import pytest

from .conftest import KEY, MODEL, Run, Stack

BODY = b'{"model":"' + MODEL.encode() + b'","messages":[{"role":"user","content":"hi"}]}'
TRICKS = [
    "//v1/models", "/v1//models", "/v1/models/", "/v1/./models", "/x/../v1/models", "/v1/models/..", "/V1/models", "/v1/MODELS",
    "/v1%2fmodels", "/v1/%6dodels", "/%761/models", "/v1/models;x", "/v1/models%00", "/v1/models%3f", "/v1/models%23", "/v1/models%20",
    "/v1\\models", "/v1/models/x", "/.", "/..", "/*", "/v1", "/healthz/", "/healthz/../v1/models", "/health", "/%68ealthz",
    "/api/generate", "/api/pull", "/api/create", "/api/delete", "/api/show", "/api/ps", "/api/copy", "/api/push", "/api/embeddings",
    "/api/chat/",
    "/api//chat", "/api/Chat", "/api/%63hat", "/api/chat;x", "/x/../api/chat", "/api/./chat", "//api/chat", "/API/chat", "/api\\chat",
    "/api/tags/",
    "/api/blobs/sha256:00", "/api/experimental/web_search", "/v1/completions", "/v1/responses", "/v1/messages",
    "/v1/images/generations", "/slots", "/props", "/metrics", "/lora-adapters", "/completion", "/tokenize", "/debug/pprof", "/docs",
]  # fmt: skip


async def raw(port: int, request: bytes) -> tuple[int, bytes]:
    """Send bytes, read to the end; the status (0 when the connection was just closed) and the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    await writer.drain()
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0, answer


def head(method: str, target: str, *headers: str, host: str = "localhost") -> bytes:
    """A request's head."""
    lines = [
        f"{method} {target} HTTP/1.1",
        f"Host: {host}",
        "Connection: close",
        f"Authorization: Bearer {KEY}",
        *headers,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def post(target: str, *headers: str) -> bytes:
    """A chat request to any target."""
    return head("POST", target, "Content-Type: application/json", f"Content-Length: {len(BODY)}", *headers) + BODY


def test_tricks_with_the_path_are_refused(run: Run) -> None:
    async def scenario(stack: Stack) -> None:
        for target in TRICKS:
            for request in (head("GET", target), head("GET", f"http://localhost{target}"), post(target)):
                status, answer = await raw(stack.port, request)
                assert status in (400, 404), (target, answer)
        assert (stack.engine.requests, stack.engine.probes) == ([], 0)

    run(scenario)


@pytest.mark.parametrize(
    "method", ["GET", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "post", "XYZ"]
)
def test_other_methods_are_refused(run: Run, method: str) -> None:
    async def scenario(stack: Stack) -> None:
        for target in ("/v1/chat/completions", "/v1/models", "/healthz"):
            if (method, target) in (("GET", "/v1/models"), ("GET", "/healthz")):
                continue
            status, answer = await raw(stack.port, head(method, target))
            assert status in (0, 400, 404), (target, answer)
        assert stack.engine.requests == []

    run(scenario)


def test_post_to_models_is_refused(run: Run) -> None:
    async def scenario(stack: Stack) -> None:
        assert (await raw(stack.port, post("/v1/models")))[0] == 404
        assert stack.engine.requests == []

    run(scenario)


@pytest.mark.parametrize("host", ["evil.example", "localhost/healthz?", "x/?", "x/#", "engine:11434", "", "[::1"])
def test_the_host_header_decides_nothing(run: Run, host: str) -> None:
    async def scenario(stack: Stack) -> None:
        assert (await raw(stack.port, head("GET", "/api/ps", host=host)))[0] in (400, 404)
        no_key = head("GET", "/v1/models", host=host).replace(KEY.encode(), b"x")
        assert (await raw(stack.port, no_key))[0] in (400, 401)

    run(scenario)


@pytest.mark.parametrize(
    "header", ["X-Original-URL: /healthz", "X-Rewrite-URL: /healthz", "X-HTTP-Method-Override: GET"]
)
def test_rewriting_headers_decide_nothing(run: Run, header: str) -> None:
    async def scenario(stack: Stack) -> None:
        assert (await raw(stack.port, head("GET", "/api/ps", header)))[0] == 404
        assert (await raw(stack.port, head("DELETE", "/v1/models", header)))[0] == 404

    run(scenario)


def test_an_upgrade_is_not_a_way_in(run: Run) -> None:
    async def scenario(stack: Stack) -> None:
        headers = ("Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
        request = head("GET", "/v1/chat/completions", *headers).replace(
            b"Connection: close", b"Connection: upgrade, close"
        )
        assert (await raw(stack.port, request))[0] in (400, 404)

    run(scenario)


def test_a_query_is_ignored(run: Run) -> None:
    async def scenario(stack: Stack) -> None:
        status, _ = await raw(stack.port, post("/v1/chat/completions?api-version=1"))
        assert (status, len(stack.engine.requests)) == (200, 1)

    run(scenario)


def test_healthz_follows_the_engine_and_the_keys(run: Run) -> None:
    async def scenario(stack: Stack) -> None:
        async with stack.client.get(f"{stack.url}/healthz") as response:
            assert (response.status, await response.text()) == (200, '{"status":"ready"}')
        for _ in range(20):
            async with stack.client.get(f"{stack.url}/healthz") as response:
                assert response.status == 200
        assert stack.engine.probes == 1  # cheap without a key
        stack.keys_file.write_text("{}")
        async with stack.client.get(f"{stack.url}/healthz") as response:
            assert (response.status, await response.text()) == (503, '{"status":"not_ready"}')

    run(scenario)


@pytest.mark.parametrize("settings", [{"engine_url": "http://127.0.0.1:9"}, {"chat_model": "another:1b"}])
def test_healthz_is_not_ready_without_the_engine_or_its_model(run: Run, settings: dict[str, str]) -> None:
    async def scenario(stack: Stack) -> None:
        async with stack.client.get(f"{stack.url}/healthz") as response:
            assert response.status == 503

    run(scenario, **settings)
