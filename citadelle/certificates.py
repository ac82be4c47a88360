"""Certificates of the gateways' TLS, by a CA of one's own on the controller: a folder of PEM files, or the same files from elsewhere.

<folder>/ca.pem, ca.key       the CA; `ca.pem` is what clients have to trust
<folder>/<host>.pem, .key     a host's certificate (with the CA's behind it) and its key
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_DAYS, HOST_DAYS = 3650, 397  # the latter: what clients take at most
_DAY = timedelta(days=1)


def make(folder: Path, host: str, names: Sequence[str], *, client: bool = False) -> Path:
    """Make a certificate for a host under these names and addresses, and the CA if there is none yet; returns the certificate's path.

    client: by it the host says who it is to others, as to a SIEM; without, others know the host by it.

    Raises ValueError for an empty list of names, OSError where the folder cannot be written.
    """
    if not names:
        raise ValueError(f"a certificate needs a name or an address: {host}")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    issuer, issuer_key = _authority(folder)
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(host, issuer.subject, key, HOST_DAYS)
    alternatives = x509.SubjectAlternativeName([_general(name) for name in names])
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH])
    builder = builder.add_extension(alternatives, critical=False).add_extension(usage, critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    made = builder.add_extension(authority, critical=False).sign(issuer_key, hashes.SHA256())
    _write(folder / f"{host}.key", _private(key), 0o600)
    _write(folder / f"{host}.pem", _public(made) + _public(issuer), 0o644)
    return folder / f"{host}.pem"


def read(folder: Path, host: str, now: datetime) -> tuple[bytes, bytes]:
    """Certificate and key of a host as PEM. Raises OSError, or ValueError that says what is wrong with them."""
    certificate, key = (folder / f"{host}.pem").read_bytes(), (folder / f"{host}.key").read_bytes()
    leaf = x509.load_pem_x509_certificates(certificate)[0]
    loaded = serialization.load_pem_private_key(key, password=None)
    if loaded.public_key() != leaf.public_key():
        raise ValueError("the key is of another certificate")
    if not leaf.not_valid_before_utc <= now < leaf.not_valid_after_utc:
        raise ValueError(f"valid from {leaf.not_valid_before_utc} to {leaf.not_valid_after_utc}")
    return certificate, key


def _authority(folder: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    path, key_path = folder / "ca.pem", folder / "ca.key"
    if key_path.exists():
        key = serialization.load_pem_private_key(key_path.read_bytes(), password=None)
        authority = x509.load_pem_x509_certificate(path.read_bytes())
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != authority.public_key():
            raise ValueError(f"the key is of another CA: {key_path}")
        return authority, key
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Citadelle")])
    builder = _builder("Citadelle", name, key, CA_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    usage = x509.KeyUsage(
        False, False, False, False, False, True, True, False, False
    )  # signs certificates and nothing else
    authority = builder.add_extension(usage, critical=True).sign(key, hashes.SHA256())
    _write(key_path, _private(key), 0o600)
    _write(path, _public(authority), 0o644)
    return authority, key


def _builder(subject: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject[:64])])
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - _DAY)
    return builder.not_valid_after(now + days * _DAY).add_extension(identifier, critical=False)


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _public(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Whole or not at all, and never readable by others in between."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    fresh.replace(path)
