"""A body is one JSON object in which no key occurs twice and nothing lies too deep."""

import json
from typing import Any

import pytest
from gateway import strict
from gateway.errors import Refusal
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"\xff",
        b"\xef\xbb\xbf{}",
        b'{"model":NaN}',
        b"[" * 5000,
        b'{"model":"\\ud800"}',
        b"{} {}",
    ],
)
def test_not_a_json_object(body: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        strict.parse(body, 32)
    assert caught.value.code == "invalid_json"


@pytest.mark.parametrize("shape", [b'{"a":%s}', b'{"a":[%s]}', b'{"a":[1,%s,{"b":2}]}'])
def test_depth_and_repeated_keys(shape: bytes) -> None:
    for inner, code in (
        (b"[" * 40 + b"]" * 40, "too_deep"),
        (b'{"c":' * 40 + b"1" + b"}" * 40, "too_deep"),
        (b'{"k":1,"k":2}', "repeated_key"),
    ):
        with pytest.raises(Refusal) as caught:
            strict.parse(shape % inner, 32)
        assert caught.value.code == code
    assert strict.parse(shape % (b"[" * 20 + b"]" * 20), 32)["a"]
    assert strict.parse(shape % (b"[" + b",".join([b"{}"] * 100) + b"]"), 32)["a"]  # many, not deep
    with pytest.raises(Refusal):
        strict.parse(b'{"a":1,"\\u0061":2}', 32)


class Pairs(list):
    """An object as it is written: a key may occur twice."""


def written(value: Any) -> str:
    if isinstance(value, Pairs):
        return "{" + ",".join(f"{json.dumps(name)}: {written(one)}" for name, one in value) + "}"
    return "[" + ",".join(map(written, value)) + "]" if isinstance(value, list) else json.dumps(value)


def repeats(value: Any) -> bool:
    if isinstance(value, Pairs):
        return len({name for name, _ in value}) < len(value) or any(repeats(one) for _, one in value)
    return isinstance(value, list) and any(map(repeats, value))


def pairs(values: Any) -> Any:
    return st.lists(st.tuples(st.sampled_from(["a", "b", ":", 'c":']), values), max_size=3).map(Pairs)


VALUES = st.recursive(st.sampled_from([1, ":", '"a":']), lambda inner: st.lists(inner, max_size=3) | pairs(inner))


@given(pairs(VALUES))
def test_a_repeated_key_is_found_wherever_it_is_and_no_other(request_: Any) -> None:
    body = written(request_).encode()
    if repeats(request_):
        with pytest.raises(Refusal, match="repeated_key"):
            strict.parse(body, 32)
    else:
        assert strict.parse(body, 32) == json.loads(body)
