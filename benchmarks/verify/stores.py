"""Stores of a size, in the genuine layout, with their lock."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

from citadelle.models import verify
from citadelle.models.lock import ModelsLock, locked_from_manifest
from citadelle.models.manifest import canonical_name, encode_manifest

BLOCK = 64 << 20


def lay(store: Path, size: int, files: int) -> None:
    """A store of `files` models of together `size` bytes of weights; its lock is `<store>.json` beside it."""
    (store / "blobs").mkdir(parents=True)
    (store / "blobs").chmod(0o755)
    models = []
    for index in range(files):
        name = canonical_name(f"weights{index}")
        weights = _blob(store, _weights(store, size // files, index), "application/vnd.ollama.image.model")
        config = store / "config"
        config.write_bytes(b'{"model_format":"gguf","model_family":"%d"}' % index)
        raw = encode_manifest(_blob(store, config, verify.CONFIG_TYPE), [weights])
        path = store / verify.manifest_path(name)
        path.parent.mkdir(parents=True)
        path.write_bytes(raw)
        models.append(
            locked_from_manifest(raw, name=name, purpose="chat", licence="none", source="https://example.org/")
        )
    store.with_suffix(".json").write_bytes(ModelsLock(serial=1, models=models).canonical())
    for path in [store, *store.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)


def _weights(store: Path, size: int, seed: int) -> Path:
    block, path = random.Random(seed).randbytes(BLOCK), store / "weights"
    with path.open("wb") as file:
        for index in range(-(-size // BLOCK)):
            part = index.to_bytes(8, "big") + block[8:]
            file.write(part[: min(BLOCK, size - index * BLOCK)])
    return path


def _blob(store: Path, path: Path, media_type: str) -> verify.Entry:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    entry = verify.Entry(media_type, f"sha256:{digest}", path.stat().st_size)
    path.rename(store / entry.path)
    return entry
