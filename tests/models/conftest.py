"""Small stores in the genuine layout: two models of 64 KB, laid by the same code that lays the real ones."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from citadelle.models import verify
from citadelle.models.lock import ModelsLock, locked_from_manifest
from citadelle.models.store import GgufFacts, add_gguf
from tests.accelerator.gguf import gguf as header
from tests.models.fetching import lay_large

NAMES = ("tiny:chat", "tiny-embed")


@dataclass
class Store:
    """A store and its lock as JSON; a test spoils one of them and asks for the verdict."""

    path: Path
    lock: dict[str, Any]
    owner: int

    def manifest(self, index: int = 1) -> Path:
        """Of the chat model (1, canonical order) or of the embeddings (0)."""
        host, namespace, rest = self.lock["models"][index]["name"].split("/")
        return self.path / "manifests" / host / namespace / rest.replace(":", "/")

    def blob(self, kind: str = "model") -> Path:
        model = self.lock["models"][1]
        found = [part for part in (model["config"], *model["layers"]) if part["mediaType"].endswith(f".{kind}")]
        return self.path / "blobs" / (found or [model["config"]])[0]["digest"].replace(":", "-")

    def relock_manifest(self, raw: bytes, index: int = 1) -> None:
        """Put `raw` as manifest and lock it: only the strict rules stand in its way now."""
        self.manifest(index).write_bytes(raw)
        digest = "sha256:" + hashlib.sha256(raw).hexdigest()
        self.lock["models"][index]["manifest"].update(digest=digest, size=len(raw))

    def relock_config(self, raw: bytes) -> None:
        """Replace the chat model's config blob, in its manifest and in the lock too."""
        self.blob("config").unlink()
        digest = "sha256:" + hashlib.sha256(raw).hexdigest()
        self.lock["models"][1]["config"].update(digest=digest, size=len(raw))
        (self.path / "blobs" / digest.replace(":", "-")).write_bytes(raw)
        manifest = json.loads(self.manifest().read_bytes())
        manifest["config"].update(digest=digest, size=len(raw))
        self.relock_manifest(json.dumps(manifest, separators=(",", ":")).encode())

    def findings(self) -> list[verify.Finding]:
        raw = json.dumps(self.lock).encode() + b"\n"
        root = os.open(self.path, verify.OPEN | os.O_DIRECTORY)
        try:
            return verify.verify(root, verify.read_lock(raw), {self.owner}).findings
        finally:
            os.close(root)


def lay(path: Path) -> dict[str, Any]:
    """Lay both small models; returns their lock as JSON."""
    models = []
    for name, purpose in zip(NAMES, ("chat", "embeddings"), strict=True):
        gguf = path.parent / "weights.gguf"
        gguf.write_bytes(header() + hashlib.sha256(name.encode()).digest() * 2048)
        add_gguf(
            path,
            name,
            gguf,
            sha256=hashlib.sha256(gguf.read_bytes()).hexdigest(),
            facts=GgufFacts(family=purpose, parameters="1K", quantization="F16"),
            template="{{ .Prompt }}",
            params={"num_ctx": 512},
            licence=b"MIT",
        )
        gguf.unlink()
        raw = (
            path
            / "manifests/registry.ollama.ai/library"
            / (name if ":" in name else f"{name}:latest").replace(":", "/")
        )
        models.append(
            locked_from_manifest(
                raw.read_bytes(), name=name, purpose=purpose, licence="MIT", source="https://example.org/"
            )
        )
    return json.loads(ModelsLock(serial=1, models=models).canonical())


@pytest.fixture(scope="session")
def laid(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The good store that every test copies, and its lock."""
    path = tmp_path_factory.mktemp("laid") / "store"
    return path, lay(path)


@pytest.fixture
def store(tmp_path: Path, laid: tuple[Path, dict[str, Any]]) -> Store:
    """A good store of this test's own, with its lock."""
    path, lock = laid
    return Store(shutil.copytree(path, tmp_path / "store"), copy.deepcopy(lock), os.geteuid())


@pytest.fixture
def as_root() -> None:
    """Skips where the test cannot change owners or mount."""
    if os.geteuid() != 0:
        pytest.skip("needs root: changes owners, makes devices or mounts")


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a good store of one larger model in `source/`, and its `lock.json`; nobody changes either."""
    folder = tmp_path_factory.mktemp("good")
    (folder / "lock.json").write_bytes(lay_large(folder).canonical())
    return folder


@pytest.fixture(scope="session")
def lock(source: Path) -> ModelsLock:
    return ModelsLock.read(source / "lock.json")


Spoil = Callable[[Store], object]
