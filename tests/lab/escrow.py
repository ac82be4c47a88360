"""The lab's own key pair for recovery keys: made with the lab, so that its escrow can be opened there.

The private half stays in `.lab`. An operator makes the pair by openssl and keeps the private half elsewhere: `docs/bitlocker.md`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.lab import state
from tests.lab.state import write_if_changed


def make(folder: Path | None = None, bits: int = 3072) -> str:
    """Have `escrow.key` and `escrow.crt` in `folder` (default `.lab/escrow`)."""
    folder = folder or state.STATE / "escrow"
    if (folder / "escrow.crt").is_file():
        return "as it is"
    key = rsa.generate_private_key(65537, bits)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "citadelle-lab escrow")])
    start = datetime.now(UTC) - timedelta(days=1)
    signed = x509.CertificateBuilder(name, name, key.public_key(), 1, start, start + timedelta(days=3650))
    write_if_changed(
        folder / "escrow.key",
        key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()),
        0o600,
    )
    write_if_changed(folder / "escrow.crt", signed.sign(key, hashes.SHA256()).public_bytes(form.Encoding.PEM))
    return "made"
