"""The operator's key pair: a PC encrypts a recovery key to its public half, and only the private half opens it again.

RSA-OAEP with SHA-256, because the text fits into one block: no hybrid scheme, so nothing unauthenticated and no format around it.
.NET Framework 4.8 has it for a certificate's key (`GetRSAPublicKey` gives an `RSACng`), and `openssl pkeyutl` opens it as well.
`Protect-CmsMessage` of Windows PowerShell 5.1 wraps its key by PKCS#1 v1.5 and encrypts with CBC without authentication.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

FORM = "citadelle-escrow-1"
ALGORITHM = "RSA-OAEP-SHA256"
LOWEST_BITS = 3072
GROUP = re.compile(r"[0-9]{6}")
HIGHEST = 65535 * 11  # each group is a multiple of 11 whose quotient has 16 bits
OAEP = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
MAKE = "openssl req -x509 -newkey rsa:4096 -days 3650 -subj /CN=escrow -keyout escrow.key -out escrow.crt; docs/bitlocker.md"


class SealError(ValueError):
    """A key, a certificate or a ciphertext that cannot be used; `str()` says why, and never holds a secret."""


@dataclass(frozen=True)
class Certificate:
    """The public half: `der` is the certificate, `fingerprint` the SHA-256 of its public key in hex."""

    der: bytes
    fingerprint: str

    @property
    def text(self) -> str:
        """Base64 of the certificate."""
        return base64.b64encode(self.der).decode()


@dataclass(frozen=True)
class Identity:
    """Which recovery key: `host` is the PC's name, `volume` its letter (`C:`), `protector` the KeyProtectorId (`{GUID}`)."""

    host: str
    volume: str
    protector: str


def fingerprint(key: rsa.RSAPublicKey) -> str:
    """SHA-256 of a public key in hex; the same for the certificate and for the private key."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def read_certificate(path: Path) -> Certificate:
    """The operator's certificate (PEM). How long it is valid does not matter: it carries a key. Raises OSError, `SealError`."""
    content = path.read_bytes()
    if b"PRIVATE KEY-----" in content:
        raise SealError("holds a private key, which a rollout never needs")
    try:
        found = x509.load_pem_x509_certificate(content)
        key = found.public_key()
    except ValueError as error:
        raise SealError(f"is no certificate: {error}") from None
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < LOWEST_BITS:
        raise SealError(f"holds no RSA key of {LOWEST_BITS} bits or more")
    return Certificate(found.public_bytes(Encoding.DER), fingerprint(key))


def read_private(path: Path, password: bytes | None = None) -> rsa.RSAPrivateKey:
    """The operator's private key (PEM). Raises OSError, `SealError` (also where a password is needed, or another one)."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password)
    except TypeError:
        raise SealError("is encrypted: its password is needed" if password is None else "is not encrypted") from None
    except ValueError:
        raise SealError("is no private key, or its password is another one") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise SealError("is no RSA key")
    return key


def is_encrypted(path: Path) -> bool:
    """Whether a private key needs a password. Raises OSError."""
    return b"ENCRYPTED" in path.read_bytes()


def open_sealed(key: rsa.RSAPrivateKey, identity: Identity, sealed: str) -> str:
    """The recovery key in a ciphertext (base64), judged: for this volume of this PC, and 8 groups that BitLocker could have made.

    Raises `SealError`, which never tells what was found instead.
    """
    try:
        text = key.decrypt(base64.b64decode(sealed, validate=True), OAEP).decode()
    except ValueError:
        raise SealError("cannot be opened by this private key") from None
    form, *named, password = text.split("\n") if text.count("\n") == 4 else ("", "", "", "", "")
    if form != FORM or Identity(*named) != identity:
        raise SealError("is the ciphertext of another volume")
    if not is_recovery_key(password):
        raise SealError("is no recovery key: not 8 groups of 6 digits, each a multiple of 11")
    return password


def is_recovery_key(text: str) -> bool:
    """Whether BitLocker could have made it: 8 groups of 6 digits, each divisible by 11, its quotient of 16 bits."""
    groups = text.split("-")
    return len(groups) == 8 and all(
        GROUP.fullmatch(group) and int(group) % 11 == 0 and int(group) <= HIGHEST for group in groups
    )
