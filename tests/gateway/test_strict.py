"""A body is one JSON object in which no key occurs twice and nothing lies too deep."""

import pytest
from gateway import strict
from gateway.errors import Refusal


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
