"""Streams pass through as they come, a client that leaves stops the engine, and the engine's failures become errors of ours."""

import asyncio
import json
from pathlib import Path

import pytest

from .conftest import KEY, MODEL, Run, Stack, change_policy
from .double import TOKENS, event
from .test_routes import head, raw

ERROR_KEYS = {"message", "type", "param", "code"}


def test_a_whole_answer(run: Run) -> None:
    async def scenario(stack: Stack) -> None:
        status, headers, body = await stack.ask("What is the capital of France?")
        assert status == 200
        assert body["choices"][0]["message"]["content"] == "The capital is Paris."
        assert headers["Cache-Control"] == "no-store"
        assert "server" not in {name.lower() for name in headers}

    run(scenario)


def test_a_stream_arrives_byte_for_byte(run: Run) -> None:
    async def scenario(stack: Stack) -> None:
        status, headers, body = await stack.ask(stream=True)
        assert (status, headers["Content-Type"]) == (200, "text/event-stream")
        assert headers["X-Accel-Buffering"] == "no"
        assert body.encode() == b"".join(event(token) for token in TOKENS) + b"data: [DONE]\n\n"
        assert stack.engine.requests[0]["stream"] is True

    run(scenario)


def test_each_event_arrives_before_the_next_is_written(run: Run) -> None:
    async def scenario(stack: Stack) -> None:
        body = {"model": MODEL, "stream": True, "messages": [{"role": "user", "content": "hi"}]}
        headers = {"Authorization": f"Bearer {KEY}"}
        async with stack.client.post(f"{stack.url}/v1/chat/completions", json=body, headers=headers) as response:
            for token in TOKENS:
                assert await asyncio.wait_for(response.content.readany(), 5) == event(token)
                stack.engine.more.set()
            assert await response.content.read() == b"data: [DONE]\n\n"

    run(scenario, mode="stepwise")


def test_one_connection_to_the_engine_serves_one_after_the_other(run: Run) -> None:
    async def scenario(stack: Stack) -> None:
        for stream in (True, False, True, False):
            assert (await stack.ask(stream=stream))[0] == 200
        assert len(stack.engine.peers) == 1

    run(scenario)


@pytest.mark.parametrize(("mode", "stream"), [("endless", True), ("hang", True), ("hang", False)])
def test_a_client_that_leaves_stops_the_engine(run: Run, mode: str, stream: bool) -> None:
    async def scenario(stack: Stack) -> None:
        body = json.dumps({"model": MODEL, "stream": stream, "messages": [{"role": "user", "content": "hi"}]}).encode()
        request = head("POST", "/v1/chat/completions", "Content-Type: application/json", f"Content-Length: {len(body)}")
        reader, writer = await asyncio.open_connection("127.0.0.1", stack.port)
        writer.write(request + body)
        if mode == "endless":
            await reader.readuntil(b"more ")
        while not stack.engine.requests:
            await asyncio.sleep(0.01)
        assert not stack.engine.gone.is_set()
        writer.transport.abort()
        await asyncio.wait_for(stack.engine.gone.wait(), 2)

    run(scenario, mode=mode)


def test_the_place_of_a_client_that_left_is_free_again(run: Run, policies: Path) -> None:
    change_policy(policies, "limits", in_flight=1, queue=0)

    async def scenario(stack: Stack) -> None:
        first = asyncio.create_task(stack.ask())
        while not stack.engine.requests:
            await asyncio.sleep(0.01)
        status, headers, body = await stack.ask()
        assert (status, headers["Retry-After"], body["error"]["code"]) == (503, "5", "busy")
        first.cancel()
        await asyncio.wait_for(stack.engine.gone.wait(), 2)
        stack.engine.mode = "answer"
        await asyncio.sleep(0.05)
        assert (await stack.ask())[0] == 200

    run(scenario, mode="hang")


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("mode", "status", "code"),
    [
        (400, 400, "engine_refused"),
        (401, 502, "engine_failed"),
        (404, 502, "engine_failed"),
        (500, 502, "engine_failed"),
        (503, 503, "engine_unavailable"),
        ("redirect", 502, "engine_failed"),
    ],
)
def test_failures_of_the_engine_are_told_in_our_words(
    run: Run, mode: str | int, status: int, code: str, stream: bool
) -> None:
    async def scenario(stack: Stack) -> None:
        got, _, body = await stack.ask("canary-7f3a", stream=stream)
        assert (got, body["error"]["code"]) == (status, code)
        assert set(body["error"]) == ERROR_KEYS
        assert "canary" not in json.dumps(body)

    run(scenario, mode=mode)


def test_an_engine_that_breaks_off_ends_the_stream_with_an_error(run: Run) -> None:
    async def scenario(stack: Stack) -> None:
        status, _, body = await stack.ask(stream=True)
        last = body.strip().rsplit("\n\n", 1)[-1]
        assert status == 200
        assert json.loads(last.removeprefix("data: "))["error"]["code"] == "engine_failed"
        assert "[DONE]" not in body

    run(scenario, mode="break")


def test_an_engine_that_is_not_there(run: Run) -> None:
    async def scenario(stack: Stack) -> None:
        status, headers, body = await stack.ask()
        assert (status, body["error"]["code"], headers["Retry-After"]) == (503, "engine_unavailable", "5")

    run(scenario, engine_url="http://127.0.0.1:9")


def test_an_engine_that_is_silent_too_long(run: Run, policies: Path) -> None:
    change_policy(policies, "limits", idle_seconds=1)

    async def scenario(stack: Stack) -> None:
        status, _, body = await stack.ask()
        assert (status, body["error"]["code"]) == (504, "engine_timeout")

    run(scenario, mode="hang")


def test_an_answer_takes_as_long_as_it_takes(run: Run, policies: Path) -> None:
    """Every patience is one second, and all of them are for silence: a stream that goes on for several is not cut."""
    patience = ("head_seconds", "body_seconds", "queue_seconds", "idle_seconds", "stall_seconds", "connect_seconds")
    change_policy(policies, "limits", **dict.fromkeys(patience, 1))

    async def scenario(stack: Stack) -> None:
        body = {"model": MODEL, "stream": True, "messages": [{"role": "user", "content": "hi"}]}
        async with stack.client.post(f"{stack.url}/v1/chat/completions", json=body, headers=stack.bearer) as response:
            said, began = b"", asyncio.get_running_loop().time()
            while said.count(b"more ") < 300:  # a hundred a second
                part = await response.content.readany()
                assert part
                said += part
        assert asyncio.get_running_loop().time() - began > 2
        await asyncio.wait_for(stack.engine.gone.wait(), 5)

    run(scenario, mode="endless")


def test_an_answer_that_is_too_large(run: Run, policies: Path) -> None:
    change_policy(policies, "limits", answer_bytes=20)

    async def scenario(stack: Stack) -> None:
        assert (await stack.ask())[2]["error"]["code"] == "answer_too_large"

    run(scenario)


LIMIT = 4194304


@pytest.mark.parametrize("extra", [1, LIMIT // 2])
@pytest.mark.parametrize("chunked", [True, False])
def test_a_body_over_the_limit(run: Run, chunked: bool, extra: int) -> None:
    async def scenario(stack: Stack) -> None:
        size = LIMIT + extra
        length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
        request = head("POST", "/v1/chat/completions", "Content-Type: application/json", length)
        body = b"x" * size
        status, answer = await raw(stack.port, request + (b"%x\r\n%s\r\n0\r\n\r\n" % (size, body) if chunked else body))
        assert (status, b'"body_too_large"' in answer) == (413, True)
        assert stack.engine.requests == []

    run(scenario)


def test_a_huge_declared_length_is_refused_without_reading(run: Run) -> None:
    async def scenario(stack: Stack) -> None:
        request = head("POST", "/v1/chat/completions", "Content-Type: application/json", "Content-Length: 99999999999")
        assert (await raw(stack.port, request))[0] == 413

    run(scenario)


def test_a_body_at_the_limit_is_read(run: Run) -> None:
    async def scenario(stack: Stack) -> None:
        frame = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": ""}]})
        body = frame.replace('""', '"' + "x" * (LIMIT - len(frame)) + '"')
        assert len(body) == LIMIT
        assert (await stack.post(body))[0] == 200
        assert len(stack.engine.requests[0]["messages"][1]["content"]) == LIMIT - len(frame)

    run(scenario)


def test_a_body_that_dawdles(run: Run, policies: Path) -> None:
    change_policy(policies, "limits", body_seconds=1)

    async def scenario(stack: Stack) -> None:
        request = head("POST", "/v1/chat/completions", "Content-Type: application/json", "Content-Length: 100")
        status, answer = await raw(stack.port, request + b"{")
        assert (status, b'"body_too_slow"' in answer) == (408, True)

    run(scenario)


@pytest.mark.parametrize(
    "headers", [{"Content-Type": "text/plain"}, {"Content-Encoding": "gzip"}, {"Content-Type": "multipart/form-data"}]
)
def test_other_media_types_are_refused(run: Run, headers: dict[str, str]) -> None:
    async def scenario(stack: Stack) -> None:
        status, _, body = await stack.post("{}", **headers)
        assert (status, body["error"]["code"]) == (415, "unsupported_media_type")

    run(scenario)


def test_nothing_of_the_clients_headers_reaches_the_engine(run: Run) -> None:
    async def scenario(stack: Stack) -> None:
        body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "hi"}]})
        headers = {
            "Api-Key": "k",
            "Cookie": "a=b",
            "X-Forwarded-For": "1.2.3.4",
            "Origin": "http://x",
            "User-Agent": "canary",
        }
        assert (await stack.post(body, **headers))[0] == 200
        [sent] = stack.engine.headers
        assert set(sent) == {"host", "accept", "content-type", "content-length"}
        assert "canary" not in json.dumps(sent)

    run(scenario)
