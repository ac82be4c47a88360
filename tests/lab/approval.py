"""The lab's own approval of its lock: a key pair made with the lab, its keyring, and the lock signed with it.

The private half stays in `.lab`, as the key that opens the PCs does: no repository holds a private key.
"""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from citadelle.models.keyring import private_key
from citadelle.models.signing import sign_lock, signed_bytes
from citadelle.models.verify import Refused
from tests.lab import model, state
from tests.lab.state import write_if_changed


def approve(folder: Path | None = None) -> str:
    """Have the lab's lock signed in `folder` (default `.lab/policies`): `models.lock.json`, `.sig`, `models.keys/`, the key itself."""
    folder = folder or state.STATE / "policies"
    lock, ring = folder / "models.lock.json", folder / "models.keys/keyring.yaml"
    key = _key(folder / "models.private.pem")
    public = key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
    write_if_changed(lock, model.LOCK.read_bytes())
    write_if_changed(ring.with_name("lab.pem"), public)
    write_if_changed(ring, "threshold: 1\nkeys: [lab.pem]\n")
    try:
        signed_bytes(lock, ring)
    except (OSError, Refused):
        sign_lock(lock, ring, key)
        return "signed"
    return "as it is"


def _key(path: Path) -> Ed25519PrivateKey:
    if not path.is_file():
        private = Ed25519PrivateKey.generate()
        pem = private.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
        write_if_changed(path, pem, 0o600)
    return private_key(path)
