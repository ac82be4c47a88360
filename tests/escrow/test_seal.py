"""What a PC seals is opened by the operator's private key alone, and only as what it claims to be."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from citadelle.escrow.seal import (
    Identity,
    SealError,
    is_encrypted,
    is_recovery_key,
    open_sealed,
    read_certificate,
    read_private,
)
from tests.escrow.conftest import Pair
from tests.escrow.keys import ID, OTHER, RECOVERY, sealed

HERE = Identity("pc1", "C:", ID)


def test_the_right_key_opens_the_right_entry(operator: Pair) -> None:
    assert open_sealed(operator[1], HERE, sealed(operator[1], HERE)) == RECOVERY


@pytest.mark.parametrize(
    "other",
    [Identity("pc2", "C:", ID), Identity("pc1", "D:", ID), Identity("pc1", "C:", OTHER)],
    ids=["PC", "volume", "protector"],
)
def test_a_ciphertext_of_something_else_is_refused(operator: Pair, other: Identity) -> None:
    with pytest.raises(SealError, match="of another volume") as caught:
        open_sealed(operator[1], HERE, sealed(operator[1], other))
    assert RECOVERY not in str(caught.value)


@pytest.mark.parametrize("text", ["no base64!", "c2hvcnQ=", ""])
def test_what_cannot_be_opened_is_said(operator: Pair, text: str) -> None:
    with pytest.raises(SealError, match="cannot be opened by this private key"):
        open_sealed(operator[1], HERE, text)


def test_another_form_is_refused(operator: Pair) -> None:
    with pytest.raises(SealError, match="of another volume"):
        open_sealed(operator[1], HERE, sealed(operator[1], HERE, form="citadelle-escrow-2"))


def test_a_text_that_bitlocker_cannot_have_made_is_refused_and_not_shown(operator: Pair) -> None:
    wrong = RECOVERY.replace("000011", "000012")
    with pytest.raises(SealError, match="no recovery key") as caught:
        open_sealed(operator[1], HERE, sealed(operator[1], HERE, wrong))
    assert wrong not in str(caught.value)


def test_openssl_opens_it_without_this_program(operator: Pair, pair_folder: Path, tmp_path: Path) -> None:
    """The operator's way out on the day that nothing of ours is at hand."""
    (tmp_path / "sealed").write_text(sealed(operator[1], HERE))
    line = (
        f"base64 -d < {tmp_path}/sealed | openssl pkeyutl -decrypt -inkey {pair_folder}/escrow.key -pkeyopt rsa_padding_mode:oaep "
        "-pkeyopt rsa_oaep_md:sha256"
    )
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n") == ["citadelle-escrow-1", "pc1", "C:", ID, RECOVERY]


def test_groups() -> None:
    assert is_recovery_key(RECOVERY)
    for wrong in (
        RECOVERY[:-7], RECOVERY + "-000000", RECOVERY.replace("720885", "720896"), RECOVERY.replace("000011", "000010"),
        RECOVERY.replace("000011", "00011"), RECOVERY.replace("000011", "-00011"), "", RECOVERY.replace("000011", "٠٠٠٠١١"),
    ):  # fmt: skip
        assert not is_recovery_key(wrong), wrong


@given(st.lists(st.integers(0, 65535), min_size=8, max_size=8))
def test_whatever_bitlocker_makes_is_right(numbers: list[int]) -> None:
    assert is_recovery_key("-".join(f"{number * 11:06d}" for number in numbers))


def test_a_certificate_file_that_cannot_be_used_is_named(operator: Pair, pair_folder: Path, tmp_path: Path) -> None:
    certificate, key = (pair_folder / name for name in ("escrow.crt", "escrow.key"))
    for content, why in (
        (certificate.read_bytes() + key.read_bytes(), "holds a private key"),
        (b"no PEM", "is no certificate"),
        (
            operator[1].public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo),
            "is no certificate",
        ),
    ):
        (tmp_path / "wrong").write_bytes(content)
        with pytest.raises(SealError, match=why):
            read_certificate(tmp_path / "wrong")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=x -keyout /dev/null"
    weak = subprocess.run(command.split(), capture_output=True, check=True).stdout
    (tmp_path / "wrong").write_bytes(weak)
    with pytest.raises(SealError, match="no RSA key of 3072 bits"):
        read_certificate(tmp_path / "wrong")


@pytest.mark.lab
def test_the_pair_of_the_page_is_taken(tmp_path: Path) -> None:
    """The command that the refusal and the page give, with a password."""
    command = "openssl req -x509 -newkey rsa:4096 -days 3650 -subj /CN=escrow -keyout escrow.key -out escrow.crt -passout pass:secret"
    subprocess.run(command.split(), cwd=tmp_path, capture_output=True, check=True)
    assert is_encrypted(tmp_path / "escrow.key")
    with pytest.raises(SealError, match="is encrypted"):
        read_private(tmp_path / "escrow.key")
    with pytest.raises(SealError, match="password is another one"):
        read_private(tmp_path / "escrow.key", b"other")
    private = read_private(tmp_path / "escrow.key", b"secret")
    assert isinstance(private, rsa.RSAPrivateKey)
    assert read_certificate(tmp_path / "escrow.crt").fingerprint
    assert open_sealed(private, HERE, sealed(private, HERE)) == RECOVERY
