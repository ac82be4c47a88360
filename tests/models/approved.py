"""Keys and keyrings of a test's own: made for it, gone with it."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from citadelle.models.signing import sign_lock


def pem(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)


def keyring(folder: Path, keys: list[Ed25519PublicKey], threshold: int = 1) -> Path:
    """Write `keyring.yaml` and the PEM files of `keys`; returns the keyring's path."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"key{index}.pem" for index in range(len(keys))]
    for name, key in zip(names, keys, strict=True):
        (folder / name).write_bytes(pem(key))
    (folder / "keyring.yaml").write_text(f"threshold: {threshold}\nkeys: {names}\n")
    return folder / "keyring.yaml"


def approve(lock: Path) -> Path:
    """Sign the lock with a fresh key; returns the keyring that trusts it."""
    key = Ed25519PrivateKey.generate()
    ring = keyring(lock.with_name("keys"), [key.public_key()])
    sign_lock(lock, ring, key)
    return ring
