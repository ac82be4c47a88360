"""`citadelle escrow`: what is shown, what is judged, and that a recovery key is printed on request only."""

# ruff: noqa: F811  (fixtures come by import)

from __future__ import annotations

import json
from pathlib import Path

import pytest

from citadelle.escrow.seal import Identity
from citadelle.escrow.store import Entry, Escrow
from tests.cli.conftest import Command
from tests.escrow.conftest import Pair, operator, pair_folder  # noqa: F401  (fixtures)
from tests.escrow.keys import ID, OTHER, RECOVERY, sealed

SECOND = RECOVERY.replace("000011", "000121")


@pytest.fixture
def folders(operator: Pair, tmp_path: Path) -> list[str]:
    """An escrow with a key for each volume of pc1; the options that name it."""
    escrow = Escrow(tmp_path / "keys", tmp_path / "keys.copy")
    certificate, key = operator
    for protector, letter, password in ((ID, "C:", RECOVERY), (OTHER, "D:", SECOND)):
        text = sealed(key, Identity("pc1", letter, protector), password)
        escrow.keep(Entry("pc1", letter, protector, "2026-11-27T10:00:00Z", certificate.fingerprint, text))
    return ["--escrow", str(escrow.folder), "--copy", str(escrow.copy)]


@pytest.fixture
def key(operator: Pair, pair_folder: Path) -> list[str]:
    """The private key, as an option."""
    return ["--key", str(pair_folder / "escrow.key")]


def test_the_list_shows_no_key(command: Command, folders: list[str]) -> None:
    said = command("escrow", "list", *folders)
    assert said.code == 0
    assert all(word in said.out for word in ("pc1", "C:", "D:", ID, OTHER, "2026-11-27T10:00:00Z"))
    rows = json.loads(command("escrow", "list", "--json", *folders).out)
    assert [(row["host"], row["volume"], row["problems"]) for row in rows] == [("pc1", "C:", []), ("pc1", "D:", [])]


def test_a_key_is_printed_on_request_only(command: Command, folders: list[str], key: list[str]) -> None:
    said = command("escrow", "show", "pc1", *key, *folders)
    assert (said.code, said.err) == (0, "")
    assert f"pc1 C: {ID}: opens, 8 right groups" in said.out
    assert RECOVERY not in said.out
    said = command("escrow", "show", "pc1", "--reveal", *key, *folders)
    assert said.out.splitlines() == [f"pc1 C: {ID}: {RECOVERY}", f"pc1 D: {OTHER}: {SECOND}"]


@pytest.mark.parametrize(
    "words", [("--volume", "d"), ("--volume", "D:"), ("--protector", "aaaaaaaa"), ("--protector", OTHER)]
)
def test_one_key_of_several(command: Command, folders: list[str], key: list[str], words: tuple[str, str]) -> None:
    said = command("escrow", "show", "pc1", "--reveal", *words, *key, *folders)
    assert said.out == f"pc1 D: {OTHER}: {SECOND}\n"


def test_no_such_key(command: Command, folders: list[str], key: list[str]) -> None:
    said = command("escrow", "show", "pc9", *key, *folders)
    assert (said.code, said.err.splitlines()) == (2, ["no such key in escrow: pc9  ", "hint: citadelle escrow list"])


def test_a_right_escrow_is_verified_without_printing_a_key(
    command: Command, folders: list[str], key: list[str]
) -> None:
    assert command("escrow", "verify", *folders).out.endswith("2 keys, two right copies of each\n")
    said = command("escrow", "verify", *key, *folders)
    assert (said.code, said.out.endswith("2 keys, two right copies of each, each opens\n")) == (0, True)
    assert RECOVERY not in said.out + said.err


def test_a_harmed_copy_and_a_wrong_ciphertext_are_findings(
    command: Command, folders: list[str], key: list[str], operator: Pair
) -> None:
    escrow = Escrow(Path(folders[1]), Path(folders[3]))
    (escrow.copy / "pc1" / (ID.strip("{}") + ".json")).write_text("{}")
    entry = escrow.find("pc1", OTHER).entry
    assert entry is not None
    wrong = sealed(operator[1], Identity("pc1", "D:", OTHER), RECOVERY.replace("000011", "000012"))
    escrow.change("pc1", OTHER, sealed=wrong)
    said = command("escrow", "verify", *key, *folders)
    assert said.code == 1
    assert [line for line in said.err.splitlines() if not line.startswith("hint: ")] == [
        f"pc1: copy cannot be read: {escrow.copy}/pc1/{ID.strip('{}')}.json: its checksum is another one",
        f"pc1: D: key is no recovery key: not 8 groups of 6 digits, each a multiple of 11: {OTHER}",
    ]


def test_another_private_key_is_said(command: Command, folders: list[str], tmp_path: Path) -> None:
    from tests.lab import escrow as pair

    pair.make(tmp_path / "other")
    said = command("escrow", "show", "pc1", "--reveal", "--key", str(tmp_path / "other/escrow.key"), *folders)
    assert (said.code, said.out) == (1, "")
    assert f"pc1: C: key is sealed to another private key: {ID}" in said.err


def test_the_password_of_the_private_key_comes_from_a_file(
    command: Command, folders: list[str], operator: Pair, tmp_path: Path
) -> None:
    from cryptography.hazmat.primitives import serialization as form

    scheme = form.BestAvailableEncryption(b"the password")
    (tmp_path / "locked.key").write_bytes(
        operator[1].private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, scheme)
    )
    (tmp_path / "password").write_text("the password\n")
    words = ["escrow", "verify", "--key", str(tmp_path / "locked.key"), *folders]
    assert command(*words, "--password-file", str(tmp_path / "password")).code == 0
    said = command(*words)
    assert (said.code, said.err.splitlines()[0]) == (2, f"private key is encrypted: {tmp_path}/locked.key")
    (tmp_path / "password").write_text("another\n")
    said = command(*words, "--password-file", str(tmp_path / "password"))
    assert (said.code, said.err.splitlines()[0]) == (
        2,
        f"private key is no private key, or its password is another one: {tmp_path}/locked.key",
    )


def test_no_escrow_here(command: Command, tmp_path: Path) -> None:
    said = command("escrow", "list", "--escrow", str(tmp_path / "none"), "--copy", str(tmp_path / "neither"))
    assert (said.code, said.err.splitlines()[0]) == (2, f"no escrow here: {tmp_path}/none")
