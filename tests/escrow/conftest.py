"""The operator's key pair, made once."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from citadelle.escrow.seal import Certificate
from citadelle.escrow.store import Escrow
from tests.escrow.keys import pair

Pair = tuple[Certificate, rsa.RSAPrivateKey]


@pytest.fixture(scope="session")
def pair_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `escrow.crt` and `escrow.key` lie."""
    return tmp_path_factory.mktemp("pair")


@pytest.fixture(scope="session")
def operator(pair_folder: Path) -> Pair:
    """Certificate and private key."""
    return pair(pair_folder)


@pytest.fixture
def vault_folders(tmp_path: Path) -> Escrow:
    """An escrow of this test's own."""
    return Escrow(tmp_path / "first/keys", tmp_path / "second/keys")
