"""Signed envelopes: DSSE v1 (https://github.com/secure-systems-lab/dsse, protocol.md and envelope.md) with Ed25519 keys.

What is signed is the type and the bytes together (PAE), so that a signature of one kind of file never counts for another. A `keyid`
is a hint that anybody can change: it is written for people and never looked at here.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from citadelle.models import verify


@dataclass(frozen=True)
class Signature:
    """`sig`: raw bytes, 64 for Ed25519; `keyid`: see `keyid()`, or empty."""

    keyid: str
    sig: bytes


@dataclass(frozen=True)
class Envelope:
    """`payload`: the signed bytes as they are; `payload_type`: what they mean."""

    payload: bytes
    payload_type: str
    signatures: tuple[Signature, ...]

    @classmethod
    def read(cls, raw: bytes) -> Envelope:
        """Parse an envelope, with or without one newline at its end. Raises `verify.Refused` for all that is not its one form."""
        value = verify.strict_json(raw[:-1] if raw.endswith(b"\n") else raw)
        if set(value) != {"payload", "payloadType", "signatures"}:
            raise verify.Refused(f"keys of the envelope are {sorted(value)}")
        payload_type, signatures = value["payloadType"], value["signatures"]
        if not isinstance(payload_type, str) or not isinstance(signatures, list) or not signatures:
            raise verify.Refused("the envelope has no payloadType or no signatures")
        return cls(_decode(value["payload"]), payload_type, tuple(map(_signature, signatures)))

    def encode(self) -> bytes:
        """The envelope as a file: sorted keys, two spaces, one newline at the end."""
        value = {
            "payload": base64.b64encode(self.payload).decode(),
            "payloadType": self.payload_type,
            "signatures": [{"keyid": one.keyid, "sig": base64.b64encode(one.sig).decode()} for one in self.signatures],
        }
        return json.dumps(value, sort_keys=True, indent=2).encode("ascii") + b"\n"

    def accepted(self, keys: list[Ed25519PublicKey]) -> int:
        """How many different keys of `keys` have signed type and payload."""
        message = pae(self.payload_type, self.payload)
        return len({keyid(key) for key in keys if any(_is_right(key, one.sig, message) for one in self.signatures)})


def pae(payload_type: str, payload: bytes) -> bytes:
    """Pre-authentication encoding: what is signed. Lengths are in bytes."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def keyid(key: Ed25519PublicKey) -> str:
    """Hex sha256 of the key's DER form (SubjectPublicKeyInfo): `openssl pkey -pubin -outform DER | sha256sum`."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def sign(key: Ed25519PrivateKey, payload_type: str, payload: bytes) -> Signature:
    """One signature over type and payload."""
    return Signature(keyid(key.public_key()), key.sign(pae(payload_type, payload)))


def _is_right(key: Ed25519PublicKey, sig: bytes, message: bytes) -> bool:
    try:
        key.verify(sig, message)
    except InvalidSignature:
        return False
    return True


def _signature(value: object) -> Signature:
    if not isinstance(value, dict) or not {"sig"} <= set(value) <= {"keyid", "sig"}:
        raise verify.Refused("a signature has other keys than keyid and sig")
    name = value.get("keyid", "")
    if not isinstance(name, str):
        raise verify.Refused(f"not a keyid: {name!r}")
    return Signature(name, _decode(value["sig"]))


def _decode(text: object) -> bytes:
    """Base64 in either alphabet (the protocol demands both), in the one spelling that its bytes have."""
    if not isinstance(text, str):
        raise verify.Refused(f"not base64: {text!r}")
    altchars = b"-_" if set(text) & {"-", "_"} else b"+/"
    try:
        raw = base64.b64decode(text, altchars, validate=True)
    except (binascii.Error, ValueError) as error:
        raise verify.Refused(f"not base64: {error}") from None
    if base64.b64encode(raw, altchars).decode() != text:
        raise verify.Refused("not base64 in its one spelling")
    return raw
