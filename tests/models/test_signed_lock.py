"""Generated locks and signatures: what passes is exactly what was signed, and nothing unknown is ever in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from citadelle.models import envelope, verify
from citadelle.models.lock import ModelsLock
from citadelle.models.signing import TYPE, signature_path, signed_bytes
from tests.conftest import ROOT
from tests.models.approved import approve, pem
from tests.models.test_generated import scalars, values

GOOD = (ROOT / "policies/models.lock.json").read_bytes()
MANY = settings(max_examples=100, deadline=None, derandomize=True)
KNOWN = [
    *("format", "serial", "expires", "models", "name", "purpose", "licence", "source", "manifest", "config", "layers"),
    *("mediaType", "digest", "size"),
]
keys = (
    st.sampled_from(KNOWN)
    | st.sampled_from(KNOWN).map(str.upper)
    | st.sampled_from(KNOWN).map(str.title)
    | st.text(max_size=6)
)


def both(raw: bytes) -> tuple[Any, Any]:
    """What the host's reader and the controller's say; None for a refusal."""
    try:
        host = verify.read_lock(raw)
    except verify.Refused:
        host = None
    try:
        controller = ModelsLock.parse(raw)
    except (verify.Refused, ValidationError):
        controller = None
    return host, controller


def places(lock: dict[str, Any]) -> list[dict[str, Any]]:
    model = lock["models"][0]
    return [lock, model, model["manifest"], model["config"], model["layers"][0]]


@st.composite
def with_extra_pair(draw: st.DrawFn) -> bytes:
    """The lock with one pair more: unknown, or a known key once again, as it is or in other letters."""
    lock = json.loads(GOOD)
    target = draw(st.sampled_from(places(lock)))
    pairs = list(target.items())
    pairs.insert(draw(st.integers(0, len(pairs))), (draw(keys), draw(values)))
    marked = json.dumps(target)
    text = "{" + ",".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in pairs) + "}"
    return json.dumps(lock).replace(marked, text, 1).encode() + b"\n"


@MANY
@given(with_extra_pair())
def test_one_key_too_many_is_refused_on_both_sides(raw: bytes) -> None:
    assert both(raw) == (None, None)


@st.composite
def with_other_value(draw: st.DrawFn) -> bytes:
    lock = json.loads(GOOD)
    target = draw(st.sampled_from(places(lock)))
    target[draw(st.sampled_from(sorted(target)))] = draw(scalars)
    return json.dumps(lock, sort_keys=True, indent=2).encode() + b"\n"


@MANY
@given(with_other_value())
def test_the_controller_takes_nothing_that_a_host_refuses(raw: bytes) -> None:
    host, controller = both(raw)
    assert controller is None or host is not None
    if controller is not None:
        assert controller.canonical() == raw
        assert verify.read_terms(raw).serial == controller.serial
        assert [model.name for model in host] == [model.name for model in controller.models]


def approved_in(folder: Path) -> tuple[Path, Path, bytes]:
    """A signed lock, its keyring, and the good signature file."""
    lock = folder / "lock.json"
    lock.write_bytes(GOOD)
    ring = approve(lock)
    return lock, ring, signature_path(lock).read_bytes()


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, bytes]:
    return approved_in(tmp_path_factory.mktemp("signed"))


@pytest.fixture(scope="module")
def resigned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, bytes]:
    """One whose key the test changes."""
    return approved_in(tmp_path_factory.mktemp("resigned"))


def passes(lock: Path, ring: Path, content: bytes, signature: bytes) -> bool:
    lock.write_bytes(content)
    signature_path(lock).write_bytes(signature)
    try:
        return signed_bytes(lock, ring) == content
    except verify.Refused:
        return False


def flipped(raw: bytes, bit: int) -> bytes:
    changed = bytearray(raw)
    changed[bit // 8 % len(raw)] ^= 1 << bit % 8
    return bytes(changed)


@MANY
@given(bit=st.integers(0, 8 * len(GOOD) - 1))
def test_one_flipped_bit_of_the_lock_is_refused(signed: tuple[Path, Path, bytes], bit: int) -> None:
    lock, ring, signature = signed
    assert passes(lock, ring, GOOD, signature)
    assert not passes(lock, ring, flipped(GOOD, bit), signature)


@MANY
@given(bit=st.integers(0, 40_000))
def test_one_flipped_bit_of_the_signature_file_lets_nothing_else_pass(
    signed: tuple[Path, Path, bytes], bit: int
) -> None:
    """It is refused, unless the bit lies in the keyid, which nobody looks at; the lock that passes is the signed one."""
    lock, ring, signature = signed
    changed = flipped(signature, bit)
    if passes(lock, ring, GOOD, changed):
        before, after = json.loads(signature), json.loads(changed)
        for value in (before, after):
            value["signatures"][0].pop("keyid", None)
        assert after == before
    assert not passes(lock, ring, GOOD.replace(b'"serial": 1', b'"serial": 2'), changed)


@MANY
@given(kind=st.text(max_size=60))
def test_signed_as_another_type_is_refused(resigned: tuple[Path, Path, bytes], kind: str) -> None:
    lock, ring, _ = resigned
    key = Ed25519PrivateKey.generate()
    ring.with_name("key0.pem").write_bytes(pem(key.public_key()))
    right = envelope.Envelope(GOOD, TYPE, (envelope.sign(key, TYPE, GOOD),))
    other = envelope.Envelope(GOOD, kind, (envelope.sign(key, kind, GOOD),))
    swapped = envelope.Envelope(GOOD, TYPE, other.signatures)
    assert passes(lock, ring, GOOD, right.encode())
    assert not passes(lock, ring, GOOD, other.encode())
    assert not passes(lock, ring, GOOD, swapped.encode())
