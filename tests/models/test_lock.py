"""The locks in the repository and the genuine manifests they were made from."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from citadelle.models import verify
from citadelle.models.lock import ModelsLock, locked_from_manifest
from citadelle.models.manifest import canonical_name, encode_manifest, short_name
from tests.conftest import ROOT
from tests.lab import model as lab

LOCK = ROOT / "policies/models.lock.json"
GENUINE = {
    "mistral:latest": "6577803aa9a036369e481d648a2baebb381ebc6e897f2bb9a766a2aa7bfbc1cf",
    "bge-m3:latest": "7907646426070047a77226ac3e684fbbe8410524f7b4a74d02837e43f2146bab",
    "nomic-embed-text:latest": "0a109f422b47e3a30ba2b10eca18548e944e8a23073ee3f3e947efcf3c45e59f",
}


@pytest.mark.parametrize("name", GENUINE)
def test_lock_is_the_genuine_manifest(name: str, shared_data: Path) -> None:
    model = ModelsLock.read(LOCK).model(name)
    raw = (shared_data / "ollama/manifests/registry.ollama.ai/library" / name.replace(":", "/")).read_bytes()
    assert model.manifest.digest == f"sha256:{GENUINE[name]}"
    assert model == locked_from_manifest(
        raw, name=name, purpose=model.purpose, licence=model.licence, source=model.source
    )
    config, layers = verify.read_manifest(raw)
    assert encode_manifest(config, list(layers)) == raw


def test_both_locks_are_canonical() -> None:
    assert [model.short_name for model in ModelsLock.read(LOCK).for_purpose("chat")] == ["mistral:latest"]
    tiny = ModelsLock.read(lab.LOCK).model(lab.NAME)
    assert tiny.weights.blob == f"sha256-{lab.WEIGHTS_SHA256}"


def test_genuine_configs_are_accepted(shared_data: Path) -> None:
    blobs = [path for path in (shared_data / "ollama/blobs").iterdir() if b'"model_format"' in path.read_bytes()[:20]]
    assert blobs
    for path in blobs:
        verify.check_config(path.read_bytes())


def test_lock_with_another_layout_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lock.json"
    path.write_bytes(LOCK.read_bytes().replace(b"  ", b" "))
    with pytest.raises(verify.Refused, match="not canonical"):
        ModelsLock.read(path)


def test_expiry() -> None:
    lock = ModelsLock.read(LOCK)
    dated = lock.model_copy(update={"expires": datetime(2026, 1, 1, tzinfo=UTC)})
    assert not lock.expired()
    assert dated.expired(datetime(2026, 1, 1, tzinfo=UTC))
    assert not dated.expired(datetime(2025, 12, 31, tzinfo=UTC))
    assert ModelsLock.model_validate_json(dated.canonical()) == dated
    with pytest.raises(ValidationError):
        ModelsLock.model_validate({**lock.model_dump(), "expires": datetime(2026, 1, 1)})


@pytest.mark.parametrize(
    ("name", "canonical", "short"),
    [
        ("mistral", "registry.ollama.ai/library/mistral:latest", "mistral:latest"),
        ("smollm2:135m-instruct", "registry.ollama.ai/library/smollm2:135m-instruct", "smollm2:135m-instruct"),
        ("me/m:1", "registry.ollama.ai/me/m:1", "me/m:1"),
        ("h.example:5000/me/m:1", "h.example:5000/me/m:1", "h.example:5000/me/m:1"),
    ],
)
def test_names(name: str, canonical: str, short: str) -> None:
    assert canonical_name(name) == canonical
    assert short_name(canonical) == short
    assert canonical_name(short) == canonical


@pytest.mark.parametrize(
    "name", ["", ":", "../m", "a/b/c/d:e", "m:..", "/m", "m\n", "é", "a b", "m@sha256:0", ".m", "h/n.s/m"]
)
def test_bad_names(name: str) -> None:
    with pytest.raises(verify.Refused):
        canonical_name(name)
