"""Key pairs and recovery keys for tests. The pairs are made once in a run: an RSA key takes a second."""

from __future__ import annotations

import base64
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa

from citadelle.escrow import seal
from citadelle.escrow.seal import Identity
from citadelle.escrow.store import Entry
from tests.lab import escrow

ID = "{11111111-2222-3333-4444-555555555555}"
OTHER = "{AAAAAAAA-BBBB-CCCC-DDDD-EEEEEEEEEEEE}"
RECOVERY = "-".join(f"{11 * number:06d}" for number in (1, 65535, 22, 0, 4711, 60000, 333, 9))


@cache
def pair(folder: Path) -> tuple[seal.Certificate, rsa.RSAPrivateKey]:
    """The pair in a folder, made where it is absent: `escrow.crt`, `escrow.key`."""
    escrow.make(folder)
    return seal.read_certificate(folder / "escrow.crt"), seal.read_private(folder / "escrow.key")


def sealed(key: rsa.RSAPrivateKey, identity: Identity, password: str = RECOVERY, form: str = seal.FORM) -> str:
    """As a PC seals it."""
    text = "\n".join((form, identity.host, identity.volume, identity.protector, password))
    return base64.b64encode(key.public_key().encrypt(text.encode(), seal.OAEP)).decode()


def entry(
    protector: str = ID,
    *,
    key: str = "k" * 64,
    created: str = "2026-11-27T10:00:00Z",
    volume: str = "C:",
    host: str = "pc1",
) -> Entry:
    """An entry whose ciphertext is none."""
    return Entry(host, volume, protector, created, key, "c2VhbGVk")
