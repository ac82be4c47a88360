"""A request's JSON, read strictly: one object, no repeated key, no deeper than allowed."""

import json
from typing import Any

import orjson

from gateway.errors import Refusal, bad_request


def parse(body: bytes, depth: int) -> dict[str, Any]:
    """The object in `body`. Raise Refusal (400)."""
    try:
        found = orjson.loads(body)  # UTF-8 without lone surrogates, no NaN, bounded recursion
    except orjson.JSONDecodeError:
        raise bad_request("invalid_json", "The request body is not valid JSON.") from None
    if not isinstance(found, dict):
        raise bad_request("invalid_json", "The request body is not a JSON object.")
    if body.count(b"{") + body.count(b"[") > depth:
        _check_depth(found, depth)
    if body.count(b":") != _pairs(found):  # else each stands for a pair that is there: none was lost to another one
        _UNIQUE.raw_decode(body.decode().lstrip())  # what follows it, orjson has seen
    return found


def _pairs(found: dict[str, Any]) -> int:
    """How many keys the object and the objects of its lists have, no deeper: less than there are, for what is deeper."""
    pairs = len(found)
    for value in found.values():
        if isinstance(value, list):
            pairs += sum([len(one) for one in value if isinstance(one, dict)])
    return pairs


def _check_depth(found: Any, depth: int) -> None:
    level = [found]
    for _ in range(depth):
        level = [child for node in level for child in (node.values() if isinstance(node, dict) else node)]
        level = [node for node in level if isinstance(node, dict | list)]
        if not level:
            return
    raise bad_request("too_deep", f"The request body is nested deeper than {depth}.")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise _REPEATED
    return fields


# Two readers of a repeated key may see two requests. orjson takes the last one without a word, so Python's own reader looks too.
_REPEATED = Refusal(400, "repeated_key", "A key occurs twice in an object of the request body.")
_UNIQUE = json.JSONDecoder(object_pairs_hook=_unique, parse_int=str, parse_float=str)
