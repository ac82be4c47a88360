"""Pointers from the environment or `.env`; a secret in `.env` is refused by its name, and its value never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from citadelle.pointers import ROOT, path, pointer


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    file = tmp_path / ".env"
    file.write_text("# where things lie\nCITADELLE_LAB=/from/file\nexport OTHER='a b'\nEMPTY=\n")
    return file


def test_environment_then_file_then_default(env_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CITADELLE_LAB", raising=False)
    assert pointer("CITADELLE_LAB", "/default", env_file) == "/from/file"
    assert pointer("OTHER", "/default", env_file) == "a b"
    assert pointer("EMPTY", "/default", env_file) == "/default"
    assert pointer("ABSENT", "/default", env_file) == "/default"
    monkeypatch.setenv("CITADELLE_LAB", "/from/environment")
    assert pointer("CITADELLE_LAB", "/default", env_file) == "/from/environment"


def test_no_file_is_no_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CITADELLE_LAB", raising=False)
    assert pointer("CITADELLE_LAB", "x", tmp_path / "absent") == "x"


def test_values_are_not_interpolated(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("A=/x/${HOME}\n")
    assert pointer("A", "", file) == "/x/${HOME}"


SECRETS = [
    "SSH_PASSWORD",
    "DB_PASSWD",
    "GATEWAY_SECRET",
    "HF_TOKEN",
    "OPENAI_API_KEY",
    "MISTRAL_APIKEY",
    "SSH_PRIVATE_KEY",
]


@pytest.mark.parametrize("name", [*SECRETS, "AWS_CREDENTIALS", "token"])
def test_a_name_of_a_secret_is_refused_without_its_value(tmp_path: Path, name: str) -> None:
    file = tmp_path / ".env"
    file.write_text(f"CITADELLE_LAB=/x\n{name}=canary-8f1c\n")
    with pytest.raises(SystemExit) as caught:
        pointer("CITADELLE_LAB", "", file)
    message = str(caught.value)
    assert f"{file}: looks like a secret, and .env holds pointers only: {name}\nhint: " in message
    assert "canary-8f1c" not in message


@pytest.mark.parametrize("name", ["CITADELLE_SSH_KEY", "CITADELLE_KNOWN_HOSTS", "MODELS_STORE"])
def test_a_path_to_a_key_is_a_pointer(tmp_path: Path, name: str) -> None:
    file = tmp_path / ".env"
    file.write_text(f"{name}=/home/me/.ssh/id_ed25519\n")
    assert pointer(name, "", file) == "/home/me/.ssh/id_ed25519"


def test_relative_paths_are_meant_from_the_checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CITADELLE_LAB", ".lab")
    assert path("CITADELLE_LAB", "x") == str(ROOT / ".lab")
    monkeypatch.setenv("CITADELLE_LAB", "~/lab")
    assert path("CITADELLE_LAB", "x") == str(Path("~/lab").expanduser().resolve())
