"""The lab's certificate for TLS, by a CA of its own: as an operator makes one with `citadelle certificates make`."""

from __future__ import annotations

from datetime import UTC, datetime

from cryptography import x509

from citadelle import certificates
from tests.lab import state
from tests.lab.state import SRV1

FOLDER = state.STATE / "certificates"
CA = FOLDER / "ca.pem"


def make() -> str:
    """Have a certificate that holds, for the address of the PC that serves TLS."""
    try:
        leaf = x509.load_pem_x509_certificate(certificates.read(FOLDER, SRV1.name, datetime.now(UTC))[0])
    except (OSError, ValueError):
        leaf = None
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value if leaf else []
    if SRV1.address in [str(name.value) for name in names]:
        return "as it is"
    certificates.make(FOLDER, SRV1.name, [SRV1.address])
    return "made"
