"""Budgets through a running gateway: reserved before, settled by the engine's count, given back to who leaves."""

import asyncio
import json

import pytest

from .conftest import MODEL, Run, Stack, limited
from .double import USAGE
from .test_routes import head, raw


def test_requests_over_the_limit_are_told_when_to_come_back(run: Run) -> None:
    async def scenario(stack: Stack) -> None:
        limited(stack, requests_minute=2)
        assert [(await stack.ask())[0] for _ in range(2)] == [200, 200]
        status, headers, body = await stack.ask()
        assert (status, body["error"]["code"], body["error"]["type"]) == (429, "limit_reached", "rate_limit_error")
        assert 1 <= int(headers["Retry-After"]) <= 120
        assert len(stack.engine.requests) == 2

    run(scenario)


@pytest.mark.parametrize("stream", [True, False])
def test_the_engines_count_settles_the_budget(run: Run, stream: bool) -> None:
    async def scenario(stack: Stack) -> None:
        limited(stack, tokens_in_day=2000, tokens_out_day=2 * 512 + USAGE["completion_tokens"])
        for _ in range(3):  # 512 are reserved each time: only what the engine says is kept
            assert (await stack.ask(stream=stream))[0] == 200
        assert (await stack.ask(stream=stream, max_tokens=1020))[2]["error"]["code"] == "limit_reached"
        stack.engine.usage = None  # then the reserved prompt and the events of the stream count
        assert (await stack.ask(stream=stream, max_tokens=1))[0] == 200

    run(scenario)


def test_a_prompt_over_the_budget_is_refused_before_the_engine(run: Run) -> None:
    async def scenario(stack: Stack) -> None:
        limited(stack, tokens_in_minute=2000)
        assert (await stack.ask("x" * 20000))[2]["error"]["code"] == "larger_than_limit"
        stack.engine.usage = {"prompt_tokens": 1900, "completion_tokens": 1}
        assert (await stack.ask())[0] == 200
        assert (await stack.ask())[2]["error"]["code"] == "limit_reached"
        assert len(stack.engine.requests) == 1

    run(scenario)


def test_an_answer_is_never_longer_than_the_keys_whole_budget(run: Run) -> None:
    async def scenario(stack: Stack) -> None:
        limited(stack, tokens_out_minute=100)
        assert (await stack.ask(max_tokens=2000))[0] == 200
        assert stack.engine.requests[0]["max_tokens"] == 100

    run(scenario)


def test_a_refused_request_costs_nothing_but_a_wrong_one_counts(run: Run) -> None:
    async def scenario(stack: Stack) -> None:
        limited(stack, requests_minute=2, tokens_out_minute=600)
        stack.engine.mode = 500
        assert [(await stack.ask())[0] for _ in range(4)] == [502] * 4
        stack.engine.mode = "answer"
        assert (await stack.ask(messages=[]))[0] == 400
        assert (await stack.ask())[0] == 200
        assert (await stack.ask())[0] == 429

    run(scenario)


async def start_and_leave(stack: Stack, stream: bool, until: bytes | None) -> None:
    """A request whose client leaves: after the engine was asked, or after `until` has arrived."""
    body = json.dumps({"model": MODEL, "stream": stream, "messages": [{"role": "user", "content": "hi"}]}).encode()
    request = head("POST", "/v1/chat/completions", "Content-Type: application/json", f"Content-Length: {len(body)}")
    reader, writer = await asyncio.open_connection("127.0.0.1", stack.port)
    writer.write(request + body)
    while not stack.engine.requests:
        await asyncio.sleep(0.01)
    if until:
        await reader.readuntil(until)
    writer.transport.abort()
    await asyncio.wait_for(stack.engine.gone.wait(), 5)


@pytest.mark.parametrize("stream", [True, False])
def test_who_leaves_before_the_answer_gets_all_back(run: Run, stream: bool) -> None:
    async def scenario(stack: Stack) -> None:
        limited(stack, requests_minute=1, tokens_out_minute=600, tokens_in_minute=1000, concurrency=1)
        await start_and_leave(stack, stream, None)
        stack.engine.mode = "answer"
        while (answer := await stack.ask())[2].get("error", {}).get("code") == "too_many_at_once":
            await asyncio.sleep(0.01)
        assert answer[0] == 200

    run(scenario, mode="hang")


def test_who_leaves_during_the_answer_pays_for_what_came(run: Run) -> None:
    async def scenario(stack: Stack) -> None:
        limited(stack, requests_minute=2, tokens_out_minute=520, concurrency=1)
        await start_and_leave(stack, stream=True, until=b"more ")
        stack.engine.mode = "answer"
        while (answer := await stack.ask(max_tokens=517))[2]["error"]["code"] == "too_many_at_once":
            await asyncio.sleep(0.01)
        assert answer[2]["error"]["code"] == "limit_reached"  # five events came at least
        assert (await stack.ask(max_tokens=100))[0] == 200
        assert (await stack.ask(max_tokens=100))[0] == 429

    run(scenario, mode="endless")


@pytest.mark.parametrize("show", [True, False])
def test_usage_is_shown_to_whom_asked(run: Run, show: bool) -> None:
    async def scenario(stack: Stack) -> None:
        _, _, body = await stack.ask(stream=True, stream_options={"include_usage": show})
        events = [json.loads(line[6:]) for line in body.splitlines() if line.startswith("data: {")]
        assert [event["usage"] for event in events if "usage" in event] == ([USAGE] if show else [])
        assert stack.engine.requests[0]["stream_options"] == {"include_usage": True}
        assert body.endswith("data: [DONE]\n\n")

    run(scenario)


def test_a_limit_answer_needs_no_body(run: Run) -> None:
    async def scenario(stack: Stack) -> None:
        limited(stack, requests_minute=1)
        assert (await stack.ask())[0] == 200
        request = head("POST", "/v1/chat/completions", "Content-Type: application/json", "Content-Length: 1000000")
        assert (await raw(stack.port, request))[0] == 429

    run(scenario)
