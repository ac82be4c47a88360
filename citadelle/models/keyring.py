"""Who may sign the lock: public keys in PEM files beside a small keyring file, and how many of them have to."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import yaml
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from citadelle.models import envelope, verify


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    threshold: Annotated[int, Field(ge=1)]
    keys: list[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\.pem$")]]


@dataclass(frozen=True)
class Keyring:
    """`threshold`: how many different keys must have signed; `keys`: file name -> public key."""

    threshold: int
    keys: dict[str, Ed25519PublicKey]

    @classmethod
    def read(cls, path: Path) -> Keyring:
        """Read the keyring and its PEM files. Raises OSError, `verify.Refused`."""
        try:
            file = _File.model_validate(yaml.safe_load(path.read_bytes()))
        except (yaml.YAMLError, ValidationError) as error:
            raise verify.Refused(f"not a keyring: {path}: {error}") from None
        keys = {name: public_key(path.with_name(name)) for name in file.keys}
        if len({envelope.keyid(key) for key in keys.values()}) != len(file.keys):
            raise verify.Refused(f"one key twice in the keyring: {path}")
        if keys and file.threshold > len(keys):
            raise verify.Refused(f"the keyring wants {file.threshold} signatures of {len(keys)} keys: {path}")
        return cls(file.threshold, keys)

    def check(self, payload: bytes, payload_type: str, signed: envelope.Envelope) -> None:
        """Raises `verify.Refused` unless enough keys have signed exactly these bytes as this type."""
        if signed.payload_type != payload_type:
            raise verify.Refused(f"signed is something else: {signed.payload_type}")
        if signed.payload != payload:
            raise verify.Refused("signed was another content")
        found = signed.accepted(list(self.keys.values()))
        if found < self.threshold:
            raise verify.Refused(f"{found} valid signatures of trusted keys, {self.threshold} needed")


def public_key(path: Path) -> Ed25519PublicKey:
    """An Ed25519 public key in a PEM file. Raises OSError, `verify.Refused`."""
    try:
        key = load_pem_public_key(path.read_bytes())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise verify.Refused(f"not a public key: {path}: {error}") from None
    if not isinstance(key, Ed25519PublicKey):
        raise verify.Refused(f"not an Ed25519 key: {path}")
    return key


def private_key(path: Path, passphrase: bytes | None = None) -> Ed25519PrivateKey:
    """An Ed25519 private key in a PEM file that only its owner can read.

    Raises OSError, `verify.Refused`, and TypeError where the file is encrypted and `passphrase` is None.
    """
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise verify.Refused(f"others can read the private key: {path}")
    try:
        key = load_pem_private_key(path.read_bytes(), passphrase)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise verify.Refused(f"not a private key, or another passphrase: {path}: {error}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise verify.Refused(f"not an Ed25519 key: {path}")
    return key
