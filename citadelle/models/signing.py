"""The signatures beside a lock: judged before a byte of it is parsed; each key adds its own, those of others for the same content kept."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from citadelle.models import envelope, verify
from citadelle.models.envelope import Envelope
from citadelle.models.keyring import Keyring
from citadelle.models.lock import ModelsLock

TYPE = "application/vnd.citadelle.models-lock+json"


class Unsigned(verify.Refused):
    """The lock has no signature at all."""


def signature_path(lock_path: Path) -> Path:
    """Where the signatures of a lock lie: beside it."""
    return lock_path.with_name(lock_path.name + ".sig")


def signed_bytes(lock_path: Path, keys_path: Path) -> bytes:
    """The content of the lock file, signed by enough trusted keys. Raises OSError, `Unsigned`, `verify.Refused`."""
    raw = lock_path.read_bytes()
    try:
        signatures = signature_path(lock_path).read_bytes()
    except FileNotFoundError:
        raise Unsigned(f"not signed: {signature_path(lock_path)} is absent") from None
    Keyring.read(keys_path).check(raw, TYPE, Envelope.read(signatures))
    return raw


@dataclass(frozen=True)
class Signed:
    """What a signature made of the lock: `valid` of `threshold` signatures that count; `replaced`: there were some of another content."""

    lock: ModelsLock
    valid: int
    threshold: int
    replaced: bool


def sign_lock(lock_path: Path, keys_path: Path, key: Ed25519PrivateKey) -> Signed:
    """Add the signature of `key` to `<lock>.sig`. Raises OSError, ValidationError, `verify.Refused` (also for an untrusted key)."""
    raw, ring = lock_path.read_bytes(), Keyring.read(keys_path)
    lock = ModelsLock.parse(raw)
    if lock.expired():
        raise verify.Refused(f"the lock has expired: {lock.expires}")
    own = envelope.keyid(key.public_key())
    if own not in {envelope.keyid(trusted) for trusted in ring.keys.values()}:
        raise verify.Refused(f"the key is not in the keyring {keys_path}: {own}")
    before = _signatures(signature_path(lock_path), raw)
    kept = [one for one in before or () if one.keyid != own]
    signed = Envelope(raw, TYPE, (*kept, envelope.sign(key, TYPE, raw)))
    replace(signature_path(lock_path), signed.encode())
    return Signed(lock, signed.accepted(list(ring.keys.values())), ring.threshold, before is None)


def _signatures(path: Path, raw: bytes) -> tuple[envelope.Signature, ...] | None:
    """The signatures there are for this content; None where they are for another one."""
    if not path.exists():
        return ()
    found = Envelope.read(path.read_bytes())
    return found.signatures if (found.payload, found.payload_type) == (raw, TYPE) else None


def replace(path: Path, content: bytes) -> None:
    """Give `path` its new content in one step."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    with fresh.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
