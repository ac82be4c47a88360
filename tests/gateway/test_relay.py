"""A stream passes in whole events whatever the cuts of the network, and only the usage that nobody asked for is taken out."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise

import orjson
import pytest
from gateway.errors import Refusal
from gateway.relay import Counted, Events
from hypothesis import given
from hypothesis import strategies as st

USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
TEXTS = ["a", '"usage"', '{"usage": {"prompt_tokens": 9}}', "data: ", "\n\n", "é\u2028", '\\"usage\\"', ""]


def event(value: object) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in pairwise(places)]


def passed(parts: list[bytes], show_usage: bool) -> tuple[bytes, Counted]:
    counted = Counted()

    async def source() -> AsyncIterator[bytes]:
        for part in parts:
            yield part

    async def collect() -> bytes:
        return b"".join([chunk async for chunk in Events(show_usage, counted).through(source())])

    return asyncio.run(collect()), counted


@given(st.lists(st.sampled_from(TEXTS), max_size=6), st.lists(st.integers(0, 10_000), max_size=8), st.booleans())
def test_any_cuts_give_the_same_bytes_and_the_same_count(texts: list[str], cuts: list[int], show: bool) -> None:
    deltas = b"".join(event({"choices": [{"delta": {"content": text}}]}) for text in texts)
    usage, done = event({"choices": [], "usage": USAGE}), b"data: [DONE]\n\n"
    got, counted = passed(pieces(deltas + usage + done, cuts), show)
    assert got == deltas + (usage if show else b"") + done
    assert (counted.prompt_tokens, counted.completion_tokens) == (7, 3)
    assert counted.events == len(texts) + 2


def test_usage_beside_an_answer_is_read_and_stays() -> None:
    last = event({"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": USAGE})
    got, counted = passed([last], show_usage=False)
    assert (got, counted.completion_tokens) == (last, 3)


@pytest.mark.parametrize(
    "usage", [None, [], "x", {"prompt_tokens": -1, "completion_tokens": "9"}, {"prompt_tokens": True}]
)
def test_usage_that_makes_no_sense_counts_nothing(usage: object) -> None:
    _, counted = passed([event({"choices": [], "usage": usage}), b'data: {"usage"\n\n'], show_usage=True)
    assert (counted.prompt_tokens, counted.completion_tokens) == (None, None)


def test_an_event_without_end_is_not_kept_for_ever() -> None:
    with pytest.raises(Refusal) as caught:
        passed([b"x" * 65536] * 17, show_usage=False)
    assert caught.value.code == "engine_failed"


def test_what_is_left_at_the_end_is_passed_on() -> None:
    assert passed([b"data: a\n\nda", b"ta: b"], show_usage=False)[0] == b"data: a\n\ndata: b"
