"""The arithmetic of limits against a plain model: what a key may use, and all together."""

import contextlib
import copy
from typing import Any

import pytest
from gateway.errors import Refusal
from gateway.keys import Key
from gateway.limits import Limiter, Use, Window
from gateway.settings import Policy, Rates
from hypothesis import given, settings
from hypothesis import strategies as st

NOON = 1_800_000_000 // 86400 * 86400 + 43200.0


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
PARTS = st.integers(0, 2)


def use(part: int, amount: int) -> Use:
    return Use()._replace(**{Use._fields[part]: amount})


@given(STEPS, st.integers(5, 20), PARTS)
def test_a_minute_never_holds_more_than_a_plain_estimate_allows(
    steps: list[tuple[float, int]], limit: int, part: int
) -> None:
    """The plain model keeps every moment: this minute's sum, and the share of the minute before that is still within reach."""
    window, now, taken = Window(60, slides=True), NOON, []
    for pause, amount in steps:
        now += pause
        start = now // 60 * 60
        this = sum(much for at, much in taken if at >= start)
        before = sum(much for at, much in taken if start - 60 <= at < start)
        used = this + before * (1 - (now - start) / 60)
        wait = window.wait(part, amount, limit, now)
        assert (wait == 0) == (used + amount <= limit + 1e-9) or abs(used + amount - limit) < 1e-6
        if wait == 0:
            window.add(use(part, amount), now, now)
            taken.append((now, amount))
        else:
            assert (
                copy.deepcopy(window).wait(part, amount, limit, now + wait + 1e-6) == 0
            )  # the promise of Retry-After holds
            assert 0 < wait <= 120


@given(STEPS, PARTS)
def test_what_is_given_back_is_as_if_it_never_was(steps: list[tuple[float, int]], part: int) -> None:
    window, now = Window(60, slides=True), NOON
    for pause, amount in steps:
        now += pause
        window.add(use(part, amount), now, now)
        window.add(use(part, -amount), now, now + 59)
    assert window.wait(part, 10, 10, now + 59) == 0


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
    assert limits._accounts["d"].day.current == [0, 0, 0]


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
