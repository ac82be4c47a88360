"""What a key may use, and all together: the arithmetic against a plain model, then the gateway's answers and what is given back."""

import asyncio
import contextlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gateway.errors import Refusal
from gateway.keys import Key
from gateway.limits import Counter, Limiter, Use
from gateway.settings import Policy, Rates
from hypothesis import given, settings
from hypothesis import strategies as st

from .conftest import KEY, MODEL, Run, Stack, change_policy, digest, write_keys
from .double import USAGE
from .test_routes import head, raw

NOON = 1_800_000_000 // 86400 * 86400 + 43200.0
OTHER = "ck_" + "o" * 43


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


def key(identity: str = "alice", **limits: int) -> Key:
    return Key(id=identity, hmac="0" * 64, limits=Rates(**limits))


def limiter(policy: Policy, **changes: Any) -> tuple[Limiter, Clock]:
    clock = Clock()
    free = {"per_key": Rates(), "ceiling": Rates()}
    return Limiter(policy.model_copy(update=free | changes), clock), clock


def refused(call: Any, *arguments: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        call(*arguments)
    return caught.value


STEPS = st.lists(st.tuples(st.floats(0, 90), st.integers(1, 5)), min_size=1, max_size=40)


@given(STEPS, st.integers(5, 20))
def test_a_minute_never_holds_more_than_a_plain_estimate_allows(steps: list[tuple[float, int]], limit: int) -> None:
    """The plain model keeps every moment: this minute's sum, and the share of the minute before that is still within reach."""
    counter, now, taken = Counter(60, slides=True), NOON, []
    for pause, amount in steps:
        now += pause
        start = now // 60 * 60
        this = sum(much for at, much in taken if at >= start)
        before = sum(much for at, much in taken if start - 60 <= at < start)
        used = this + before * (1 - (now - start) / 60)
        wait = counter.wait(amount, limit, now)
        assert (wait == 0) == (used + amount <= limit + 1e-9) or abs(used + amount - limit) < 1e-6
        if wait == 0:
            counter.add(amount, now, now)
            taken.append((now, amount))
        else:
            assert replace(counter).wait(amount, limit, now + wait + 1e-6) == 0  # the promise of Retry-After holds
            assert 0 < wait <= 120


@given(STEPS)
def test_what_is_given_back_is_as_if_it_never_was(steps: list[tuple[float, int]]) -> None:
    counter, now = Counter(60, slides=True), NOON
    for pause, amount in steps:
        now += pause
        counter.add(amount, now, now)
        counter.add(-amount, now, now + 59)
    assert counter.wait(10, 10, now + 59) == 0


def test_a_day_is_utcs_and_ends_at_midnight(policy: Policy) -> None:
    limits, clock = limiter(policy)
    for _ in range(2):
        limits.enter(key(requests_day=2)).settle(Use(1))
    refusal = refused(limits.enter, key(requests_day=2))
    assert (refusal.status, refusal.code, refusal.retry_after) == (429, "limit_reached", 43200)
    clock.now += 43200
    limits.enter(key(requests_day=2))


def test_a_clock_that_goes_back_opens_nothing(policy: Policy) -> None:
    limits, clock = limiter(policy)
    limits.enter(key(requests_day=1))
    clock.now -= 90000
    assert refused(limits.enter, key(requests_day=1)).code == "limit_reached"


@pytest.mark.parametrize("name", ["tokens_in_minute", "tokens_in_day", "tokens_out_minute", "tokens_out_day"])
def test_tokens_are_reserved_then_settled(policy: Policy, name: str) -> None:
    limits, _ = limiter(policy)
    who = key(**{name: 100})
    amount = Use(0, 60, 0) if "_in_" in name else Use(0, 0, 60)
    first, second = limits.enter(who), limits.enter(who)
    first.reserve(amount)
    assert refused(second.reserve, amount).code == "limit_reached"
    first.settle(Use(1, 10, 10))
    second.reserve(amount)
    third = limits.enter(who)
    assert refused(third.reserve, amount).code == "limit_reached"
    assert refused(third.reserve, Use(0, 101, 101)).code == "larger_than_limit"


def test_a_key_without_own_limits_has_the_policys(policy: Policy) -> None:
    limits, _ = limiter(policy, per_key=Rates(requests_minute=1, concurrency=1))
    ticket = limits.enter(key())
    assert refused(limits.enter, key()).code == "too_many_at_once"
    ticket.settle(Use(1))
    assert refused(limits.enter, key()).code == "limit_reached"
    generous = key("bob", requests_minute=3, concurrency=2)
    limits.enter(generous)
    limits.enter(generous)
    assert refused(limits.enter, generous).code == "too_many_at_once"


def test_the_ceiling_is_everybodys_and_takes_nothing_from_whom_it_refuses(policy: Policy) -> None:
    limits, _ = limiter(policy, ceiling=Rates(requests_minute=2))
    limits.enter(key("a"))
    limits.enter(key("b")).settle(Use(0))
    limits.enter(key("c"))
    refusal = refused(limits.enter, key("d", requests_day=1))
    assert (refusal.status, refusal.code) == (503, "ceiling_reached")
    assert refusal.retry_after > 0
    assert limits._accounts["d"].active == 0
    assert limits._accounts["d"].counters["requests_day"].current == 0


def test_what_was_used_before_a_restart_counts(policy: Policy) -> None:
    limits, clock = limiter(policy)
    limits.restore("alice", Use(2, 50, 5), NOON - 7200)
    assert refused(limits.enter, key(requests_day=2)).code == "limit_reached"
    limits.enter(key(requests_minute=1))
    limits.restore("bob", Use(2), NOON - 86400)
    limits.enter(key("bob", requests_day=1))
    assert clock.now == NOON


@given(st.lists(st.tuples(st.sampled_from(["enter", "settle", "drop"]), st.integers(0, 9)), max_size=60))
@settings(max_examples=60)
def test_places_are_never_lost(policy: Policy, steps: list[tuple[str, int]]) -> None:
    limits, _ = limiter(policy)
    held = []
    for word, number in steps:
        if word == "enter":
            with contextlib.suppress(Refusal):
                held.append(limits.enter(key(f"k{number}", concurrency=2)))
        elif held:
            held.pop(number % len(held)).settle(Use())
    assert limits._all.active == len(held) == sum(account.active for account in limits._accounts.values())


def limited(stack: Stack, **limits: int) -> None:
    write_keys(stack.keys_file, KEY, limits=limits)


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


def test_one_more_waits_its_turn_and_the_next_is_sent_away(run: Run, policies: Path) -> None:
    change_policy(policies, "limits", in_flight=1, queue=1)

    async def scenario(stack: Stack) -> None:
        first = asyncio.create_task(stack.ask(stream=True))
        while not stack.engine.requests:
            await asyncio.sleep(0.01)
        others = {asyncio.create_task(stack.ask(name)) for name in ("second", "third")}
        sent_away, waiting = await asyncio.wait(others, return_when=asyncio.FIRST_COMPLETED)
        [(status, headers, body)] = [task.result() for task in sent_away]
        assert (status, body["error"]["code"], headers["Retry-After"]) == (503, "busy", "5")
        assert (len(waiting), len(stack.engine.requests)) == (1, 1)
        stack.engine.mode = "answer"
        while not first.done():
            stack.engine.more.set()
            await asyncio.sleep(0.01)
        assert [(await first)[0], (await waiting.pop())[0], len(stack.engine.requests)] == [200, 200, 2]

    run(scenario, mode="stepwise")


def test_who_waits_too_long_is_sent_away_and_the_place_is_free(run: Run, policies: Path) -> None:
    change_policy(policies, "limits", in_flight=1, queue=1, queue_seconds=1)

    async def scenario(stack: Stack) -> None:
        first = asyncio.create_task(stack.ask())
        while not stack.engine.requests:
            await asyncio.sleep(0.01)
        for _ in range(2):
            assert (await stack.ask("second"))[2]["error"]["code"] == "busy"
        first.cancel()
        await asyncio.wait_for(stack.engine.gone.wait(), 5)
        stack.engine.mode = "answer"
        assert (await stack.ask("third"))[0] == 200
        assert len(stack.engine.requests) == 2

    run(scenario, mode="hang")


def test_one_key_does_not_take_the_places_of_another(run: Run) -> None:
    async def scenario(stack: Stack) -> None:
        entries = [
            {"id": name, "hmac": digest(one), "limits": {"concurrency": 1}} for name, one in (("a", KEY), ("b", OTHER))
        ]
        stack.keys_file.write_text(json.dumps({"keys": entries}))
        first = asyncio.create_task(stack.ask())
        while not stack.engine.requests:
            await asyncio.sleep(0.01)
        assert (await stack.ask())[2]["error"]["code"] == "too_many_at_once"
        stack.engine.mode = "answer"
        assert (await stack.ask(key=OTHER))[0] == 200
        first.cancel()

    run(scenario, mode="hang")


def test_the_place_is_free_once_the_answer_is_there(run: Run) -> None:
    async def scenario(stack: Stack) -> None:
        limited(stack, concurrency=1)
        assert [(await stack.ask(stream=bool(turn % 2)))[0] for turn in range(40)] == [200] * 40

    run(scenario)


def test_strangers_are_bounded_and_holders_are_not_touched(run: Run, policies: Path) -> None:
    change_policy(policies, "limits", strangers_minute=3)

    async def scenario(stack: Stack) -> None:
        assert [(await stack.ask(key="ck_wrong"))[0] for _ in range(5)] == [401, 401, 401, 429, 429]
        assert (await stack.ask(key=None))[1]["Retry-After"]
        assert (await stack.ask())[0] == 200

    run(scenario)


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
