"""Envelopes: the protocol's own worked example, the key pairs of RFC 8032, and everything that must not pass."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given, settings
from hypothesis import strategies as st

from citadelle.models import verify
from citadelle.models.envelope import Envelope, Signature, keyid, pae, sign

# RFC 8032, section 7.1, TEST 1 to 3: secret and public key.
RFC8032 = {
    "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60": "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb": "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7": "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
}
KEYS = [Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed)) for seed in RFC8032]
PUBLIC = [key.public_key() for key in KEYS]
TYPE, PAYLOAD = "application/vnd.example+json", b'{"models":[]}\n'
MANY = settings(max_examples=300, deadline=None, derandomize=True)


def signed(*keys: Ed25519PrivateKey, payload: bytes = PAYLOAD, kind: str = TYPE) -> Envelope:
    return Envelope(payload, kind, tuple(sign(key, kind, payload) for key in keys))


def test_the_protocols_worked_example() -> None:
    """protocol.md, "Test Vectors": encoding, envelope and signature (its key is of another kind than ours)."""
    x = 46950820868899156662930047687818585632848591499744589407958293238635476079160
    y = 5640078356564379163099075877009565129882514886557779369047442380624545832820
    raw = b"""{"payload": "aGVsbG8gd29ybGQ=",
 "payloadType": "http://example.com/HelloWorld",
 "signatures": [{"sig": "A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA=="}]}"""
    found = Envelope.read(raw)
    message = pae(found.payload_type, found.payload)
    assert message == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    numbers = found.signatures[0].sig
    der = encode_dss_signature(int.from_bytes(numbers[:32], "big"), int.from_bytes(numbers[32:], "big"))
    key = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    key.verify(der, message, ec.ECDSA(SHA256()))
    with pytest.raises(InvalidSignature):
        key.verify(der, message + b" ", ec.ECDSA(SHA256()))


@pytest.mark.parametrize(
    ("kind", "payload", "encoded"),
    [
        ("", b"", b"DSSEv1 0  0 "),
        ("é", b"\n", b"DSSEv1 2 \xc3\xa9 1 \n"),
        ("a 1 b", b"c", b"DSSEv1 5 a 1 b 1 c"),
        ("a", b"b 1 c", b"DSSEv1 1 a 5 b 1 c"),
    ],
)
def test_lengths_are_in_bytes_and_keep_type_and_payload_apart(kind: str, payload: bytes, encoded: bytes) -> None:
    assert pae(kind, payload) == encoded


def test_the_keys_are_those_of_rfc_8032() -> None:
    assert [key.public_bytes_raw().hex() for key in PUBLIC] == list(RFC8032.values())
    prefix = "302a300506032b6570032100"  # RFC 8410: what stands before the 32 bytes of such a key in its DER form
    wanted = [hashlib.sha256(bytes.fromhex(prefix + public)).hexdigest() for public in RFC8032.values()]
    assert [keyid(key) for key in PUBLIC] == wanted


def test_a_written_envelope_is_read_as_it_was() -> None:
    one = signed(*KEYS)
    assert Envelope.read(one.encode()) == one
    assert one.accepted(PUBLIC) == 3


def test_both_alphabets_are_read_but_not_mixed() -> None:
    payload = b"\xfb\xff\xbf>?"
    text = signed(KEYS[0], payload=payload).encode().decode()
    both = text.replace("+/+/Pj8=", "-_-_Pj8=")
    assert both != text
    assert Envelope.read(both.encode()).payload == payload
    with pytest.raises(verify.Refused, match="base64"):
        Envelope.read(text.replace("+/+/Pj8=", "-_+/Pj8=").encode())


def test_different_keys_count_not_signatures() -> None:
    twice = signed(KEYS[0], KEYS[0])
    assert (twice.accepted(PUBLIC), signed(KEYS[0], KEYS[1]).accepted(PUBLIC)) == (1, 2)
    assert signed(KEYS[0], KEYS[1]).accepted(PUBLIC[1:]) == 1
    assert signed(KEYS[0]).accepted([]) == 0


def test_the_keyid_decides_nothing() -> None:
    right = signed(KEYS[0])
    renamed = Envelope(PAYLOAD, TYPE, (Signature(keyid(PUBLIC[1]), right.signatures[0].sig), Signature("", b"short")))
    assert (renamed.accepted(PUBLIC[:1]), renamed.accepted(PUBLIC[1:2])) == (1, 0)


def test_a_signature_over_the_bare_payload_does_not_count() -> None:
    bare = Signature("", KEYS[0].sign(PAYLOAD))
    other_encoding = Signature("", KEYS[0].sign(b"DSSEv1 %d %b %d %b" % (1, TYPE.encode(), len(PAYLOAD), PAYLOAD)))
    assert Envelope(PAYLOAD, TYPE, (bare, other_encoding)).accepted(PUBLIC) == 0


def test_a_signature_of_another_type_does_not_count() -> None:
    assert Envelope(PAYLOAD, "application/vnd.other", signed(KEYS[0]).signatures).accepted(PUBLIC) == 0


def edited(**changes: Any) -> bytes:
    value = json.loads(signed(KEYS[0]).encode()) | changes
    return json.dumps(value).encode()


PADDED = base64.b64encode(PAYLOAD).decode()
BAD = {
    "unknown key": edited(extra=1),
    "no signatures": edited(signatures=[]),
    "signatures an object": edited(signatures={"sig": ""}),
    "signature with an unknown key": edited(signatures=[{"sig": "", "cert": ""}]),
    "signature without sig": edited(signatures=[{"keyid": "a"}]),
    "signature is text": edited(signatures=["AAAA"]),
    "keyid a number": edited(signatures=[{"sig": "", "keyid": 1}]),
    "payload a list": edited(payload=[]),
    "payload null": edited(payload=None),
    "type a number": edited(payloadType=1),
    "no padding": edited(payload="YQ"),
    "padding bits set": edited(payload="YR=="),
    "newline inside": edited(payload=PADDED[:4] + "\n" + PADDED[4:]),
    "space at the end": edited(payload=PADDED + " "),
    "not ASCII": edited(payload="é==="),
    "key twice": edited().replace(b'"payload":', b'"payload": "", "payload":'),
    "key twice in capitals": edited().replace(b'"payload":', b'"PAYLOAD": "", "payload":'),
    "key of a signature twice": edited().replace(b'"sig":', b'"sig": "", "sig":'),
    "two newlines": signed(KEYS[0]).encode() + b"\n",
    "second object": edited() + b"{}",
    "byte order mark": b"\xef\xbb\xbf" + edited(),
    "cut short": edited()[:-1],
    "empty": b"",
    "too large": edited(payload=PADDED * 100_000),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_envelope_is_refused(case: str) -> None:
    assert Envelope.read(edited()).accepted(PUBLIC) == 1
    with pytest.raises(verify.Refused):
        Envelope.read(BAD[case])


def counts(raw: bytes, payload: bytes, kind: str, keys: list[Ed25519PublicKey]) -> bool:
    """Whether an envelope would let `payload` pass as `kind`."""
    try:
        found = Envelope.read(raw)
    except verify.Refused:
        return False
    return (found.payload, found.payload_type) == (payload, kind) and found.accepted(keys) > 0


@MANY
@given(st.binary(max_size=64), st.integers(0, 10**6))
def test_one_flipped_bit_of_payload_or_signature_never_passes(payload: bytes, position: int) -> None:
    good = signed(KEYS[0], payload=payload)
    bits = bytearray(payload + good.signatures[0].sig)
    bits[position // 8 % len(bits)] ^= 1 << position % 8
    changed = Envelope(bytes(bits[: len(payload)]), TYPE, (Signature("", bytes(bits[len(payload) :])),))
    assert good.accepted(PUBLIC[:1]) == 1
    assert changed.accepted(PUBLIC[:1]) == 0


@MANY
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 40), st.binary(max_size=6)), min_size=1, max_size=3))
def test_spliced_files_pass_only_with_the_signed_content(edits: list[tuple[int, int, bytes]]) -> None:
    raw = signed(KEYS[0]).encode()
    for start, length, new in edits:
        raw = raw[:start] + new + raw[start + length :]
    try:
        found = Envelope.read(raw)
    except verify.Refused:
        return
    if found.accepted(PUBLIC):
        assert (found.payload, found.payload_type) == (PAYLOAD, TYPE)


@pytest.mark.lab
@MANY
@given(st.text(max_size=20), st.binary(max_size=64), st.text(max_size=20), st.binary(max_size=64))
def test_two_contents_never_share_an_encoding(kind: str, payload: bytes, other_kind: str, other: bytes) -> None:
    same = (kind, payload) == (other_kind, other)
    assert (pae(kind, payload) == pae(other_kind, other)) == same
    assert counts(signed(KEYS[0], payload=payload, kind=kind).encode(), other, other_kind, PUBLIC) == same
