"""`citadelle models`: what it prints, and with which exit code it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from citadelle.models.lock import ModelsLock
from tests.cli.conftest import Command
from tests.models.approved import keyring
from tests.models.conftest import lay
from tests.models.test_approval import write_private

OFFICERS = [Ed25519PrivateKey.generate() for _ in range(2)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store of two small models, its lock, a keyring of two that must both sign."""
    lock = ModelsLock.model_validate(lay(tmp_path / "store"))
    (tmp_path / "lock.json").write_bytes(lock.canonical())
    keyring(tmp_path / "keys", [key.public_key() for key in OFFICERS], threshold=2)
    return tmp_path


def where(folder: Path) -> list[str]:
    return ["--lock", str(folder / "lock.json"), "--keys", str(folder / "keys/keyring.yaml")]


def test_signing_until_enough_have(command: Command, folder: Path) -> None:
    lock, store = folder / "lock.json", ["--store", str(folder / "store")]
    said = command("models", "sign", "--key", str(write_private(folder / "lea", OFFICERS[0])), *where(folder))
    digest = ModelsLock.read(lock).digest
    assert said.code == 0
    assert said.out == (
        f"signed: serial 1 of {lock}, {digest}: tiny-embed:latest, tiny:chat\n1 of 2 needed signatures; 1 more must sign\n"
    )
    listed = json.loads(command("models", "list", "--json", *where(folder)).out)
    assert listed["signature"] == "refused: 1 valid signatures of trusted keys, 2 needed"
    said = command("models", "sign", "--key", str(write_private(folder / "sam", OFFICERS[1])), *where(folder))
    assert said.out.endswith("2 of 2 needed signatures\n")
    listed = json.loads(command("models", "list", "--json", *where(folder)).out)
    assert (listed["serial"], listed["expires"], listed["signature"]) == (1, None, "signed")
    assert [model["name"] for model in listed["models"]] == ["tiny-embed:latest", "tiny:chat"]
    shown = command("models", "list", *where(folder)).out
    assert "tiny:chat" in shown
    assert "serial 1, expires never, signed" in shown
    assert (said := command("models", "verify", *store, *where(folder))).code == 0
    assert said.err == "hashing: 0.1 MB\n"


@pytest.mark.parametrize("word", ["verify", "fetch"])
def test_signatures_of_another_content(command: Command, folder: Path, word: str) -> None:
    for name, key in zip(("lea", "sam"), OFFICERS, strict=True):
        command("models", "sign", "--key", str(write_private(folder / name, key)), *where(folder))
    lock = ModelsLock.read(folder / "lock.json")
    (folder / "lock.json").write_bytes(b"not even a lock")  # whose parser would say so: it is not asked
    arguments = ["models", word, "--store", str(folder / "store"), *where(folder)]
    said = command(*arguments)
    assert (said.code, said.out) == (1, "")
    assert said.err == (
        f"citadelle: lock is refused: signed was another content: {folder}/lock.json\n"
        "hint: citadelle models sign --key FILE, or --unsigned while it is under review; docs/models.md\n"
    )
    (folder / "lock.json").write_bytes(lock.model_copy(update={"serial": 2}).canonical())
    said = command(*arguments, "--unsigned")
    assert said.code == 0
    assert said.err.startswith("lock is refused: ")


def test_a_passphrase_is_asked_for_and_shown_nowhere(
    command: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def prompt(text: str, **how: bool) -> str:
        asked.append((text, how))
        return "canary-passphrase"

    monkeypatch.setattr(typer, "prompt", prompt)
    key = write_private(folder / "lea", OFFICERS[0], b"canary-passphrase")
    said = command("models", "sign", "--key", str(key), *where(folder))
    assert (said.code, asked) == (0, [(f"Passphrase of {key}", {"hide_input": True, "err": True})])
    write_private(key, OFFICERS[0], b"another")
    wrong = command("models", "sign", "--key", str(key), *where(folder))
    assert wrong.code == 1
    assert "another passphrase" in wrong.err
    written = (folder / "lock.json.sig").read_text()
    assert "canary" not in said.out + said.err + wrong.out + wrong.err + written


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda f: (f / "lea").unlink(), "citadelle: {f}/lea: No such file or directory\nhint: docs/models.md"),
        (lambda f: (f / "lea").chmod(0o644), "citadelle: others can read the private key: {f}/lea\nhint: "),
        (lambda f: (f / "lea").write_text("x"), "citadelle: not a private key, or another passphrase: {f}/lea: "),
        (lambda f: keyring(f / "keys", []), "citadelle: the key is not in the keyring {f}/keys/keyring.yaml: "),
        (lambda f: (f / "lock.json").write_text("{}"), "citadelle: bytes before or after the JSON object\nhint: git checkout"),
    ],
    ids=["no key", "open key", "bad key", "untrusted key", "bad lock"],
)  # fmt: skip
def test_signing_refused(command: Command, folder: Path, spoil: object, told: str) -> None:
    key = write_private(folder / "lea", OFFICERS[0])
    spoil(folder)  # type: ignore[operator]
    said = command("models", "sign", "--key", str(key), *where(folder))
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith(told.format(f=folder))
    assert not (folder / "lock.json.sig").exists()


def test_verifying_a_store(command: Command, folder: Path) -> None:
    arguments = ["models", "verify", "--store", str(folder / "store"), "--lock", str(folder / "lock.json")]
    said = command(*arguments)
    assert said.code == 0
    assert said.out.startswith(f"{folder}/store: the lock, 0.1 MB hashed, ")
    assert said.err == f"lock is not signed: {folder}/lock.json.sig is absent\nhashing: 0.1 MB\n"
    report = json.loads(command(*arguments, "--json").out)
    assert (report["ok"], report["findings"]) == (True, [])
    assert {"bytes", "seconds", "cpu_seconds", "rate"} <= report.keys()
    part = command(*arguments, "--model", "tiny:chat")
    assert (part.code, part.out) == (1, "")
    assert f"{folder}/store: foreign entry in the model store: manifests/" in part.err
    blob = max((folder / "store/blobs").iterdir(), key=lambda path: path.stat().st_size)
    blob.write_bytes(blob.read_bytes()[:-1] + b"X")
    wrong = command(*arguments)
    assert (wrong.code, wrong.out) == (1, "")
    assert f"model file does not match its lock: blobs/{blob.name}" in wrong.err
    assert json.loads(command(*arguments, "--json").out)["findings"][0]["code"] == "digest"


def test_no_store(command: Command, folder: Path) -> None:
    said = command("models", "verify", "--store", str(folder / "none"), "--lock", str(folder / "lock.json"))
    assert said.code == 1
    assert said.err.partition("absent\n")[2] == (
        f"citadelle: {folder}/none: No such file or directory\nhint: citadelle models fetch --store {folder}/none\n"
    )


@pytest.mark.parametrize(
    "words", [["list"], ["verify", "--store", "/"], ["sign", "--key", "/k"]], ids=lambda words: words[0]
)
def test_no_lock_is_wrong_use(command: Command, words: list[str], tmp_path: Path) -> None:
    said = command("models", *words, "--lock", str(tmp_path / "none"))
    assert (said.code, said.out) == (2, "")
    assert said.err == f"lock is absent: {tmp_path}/none\nhint: run in the checkout, or give --lock\n"


def test_a_model_that_is_not_locked_is_wrong_use(command: Command, folder: Path) -> None:
    for name in ("evil", "../evil"):
        said = command("models", "verify", "--store", "/", "--lock", str(folder / "lock.json"), "--model", name)
        assert said.code == 2
        assert "hint: locked are: tiny-embed:latest, tiny:chat" in said.err
