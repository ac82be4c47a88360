"""Generated manifests: what the strict rules accept means the same to a parser as lenient as Go's, and to the lock."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from citadelle.models import verify

GOOD = (
    b'{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{"mediaType":'
    b'"application/vnd.docker.container.image.v1+json","digest":"sha256:'
    + b"a"
    * 64
    + b'","size":487},"layers":[{"mediaType":'
    b'"application/vnd.ollama.image.model","digest":"sha256:' + b"b" * 64 + b'","size":4372811712},{"mediaType":'
    b'"application/vnd.ollama.image.params","digest":"sha256:' + b"c" * 64 + b'","size":30}]}'
)
LOCKED = verify.read_manifest(GOOD)
MANY = settings(max_examples=400, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.filter_too_much])
FIELDS = {name.casefold(): name for name in ("schemaVersion", "mediaType", "config", "layers", "digest", "size")}


def lenient(raw: bytes) -> Any:
    """As Go's encoding/json reads into the engine's structure: keys without case, the last one wins, the rest ignored."""

    def fold(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        return {FIELDS[key.casefold()]: value for key, value in pairs if key.casefold() in FIELDS}

    value, _ = json.JSONDecoder(object_pairs_hook=fold).raw_decode(raw.decode("utf-8", "replace").lstrip())
    return value


def entries(value: Any) -> tuple[verify.Entry, tuple[verify.Entry, ...]]:
    files = [
        verify.Entry(part["mediaType"], part["digest"], part["size"]) for part in (value["config"], *value["layers"])
    ]
    return files[0], tuple(files[1:])


def accepted(raw: bytes) -> Any:
    try:
        return verify.read_manifest(raw)
    except verify.Refused:
        return None


snippets = [
    b'"Digest":"x",',
    b',"LAYERS":[]',
    b'"size":1,',
    b"{}",
    b"\n",
    b"\xef\xbb\xbf",
    b"\\u017f",
    b"1.0",
    b"-",
    b"null",
]
pieces = st.one_of(st.binary(max_size=8), st.sampled_from(snippets))
splices = st.tuples(st.integers(0, len(GOOD)), st.integers(0, 80), pieces)


@pytest.mark.lab
@MANY
@given(st.lists(splices, min_size=1, max_size=4))
def test_spliced_bytes(edits: list[tuple[int, int, bytes]]) -> None:
    raw = GOOD
    for start, length, new in edits:
        raw = raw[:start] + new + raw[start + length :]
    found = accepted(raw)
    assert found is None or found == entries(lenient(raw))


keys = st.sampled_from(
    [variant for name in FIELDS.values() for variant in (name, name.upper(), name.title(), name.replace("s", "ſ"))]
)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5))
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=6
)


def pairs_of(value: Any) -> list[tuple[str, Any]]:
    return list(value.items())


@st.composite
def with_extra_pairs(draw: st.DrawFn) -> bytes:
    """The good manifest with keys added, renamed or given twice, at the top, in the config or in a layer."""
    good = json.loads(GOOD)
    place = draw(st.sampled_from(["top", "config", "layer"]))
    target = {"top": good, "config": good["config"], "layer": good["layers"][0]}[place]
    pairs = pairs_of(target)
    for key, value in draw(st.lists(st.tuples(keys, values), min_size=1, max_size=2)):
        pairs.insert(draw(st.integers(0, len(pairs))), (key, value))
    text = "{" + ",".join(f"{json.dumps(key)}:{json.dumps(value)}" for key, value in pairs) + "}"
    if place == "top":
        return text.encode()
    return json.dumps(good).replace(json.dumps(target), text, 1).encode()


@pytest.mark.lab
@MANY
@given(with_extra_pairs())
def test_one_key_too_many_is_never_accepted(raw: bytes) -> None:
    assert accepted(raw) is None


@st.composite
def with_other_leaf(draw: st.DrawFn) -> bytes:
    good = json.loads(GOOD)
    target = draw(st.sampled_from([good, good["config"], *good["layers"]]))
    target[draw(st.sampled_from(sorted(target)))] = draw(values)
    return json.dumps(good).encode()


@pytest.mark.lab
@MANY
@given(with_other_leaf())
def test_another_value_is_never_taken_for_the_locked_one(raw: bytes) -> None:
    found = accepted(raw)
    assert found is None or found == entries(lenient(raw))
    if json.loads(raw) != json.loads(GOOD):
        assert found != LOCKED
