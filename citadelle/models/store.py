"""Lay models into an Ollama store: a GGUF from a second official source gets a manifest of ours, the same bytes every time."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from citadelle.models import verify
from citadelle.models.manifest import canonical_name, encode_manifest

IMAGE = "application/vnd.ollama.image."
GGUF_MAGIC = b"GGUF"


@dataclass(frozen=True)
class GgufFacts:
    """What the engine's config blob says about the weights, e.g. family "llama", parameters "134.52M", quantization "Q4_1"."""

    family: str
    parameters: str
    quantization: str


def add_gguf(
    store: Path,
    name: str,
    gguf: Path,
    *,
    sha256: str,
    facts: GgufFacts,
    template: str,
    params: dict[str, Any],
    licence: bytes,
) -> str:
    """Lay `gguf` as model `name` (short or canonical) into the Ollama store at `store`, made where it is absent.

    `sha256`: hex digest that the weights must have. `template`: Go template. `params`: the engine's options.
    `licence`: text of the licence. Returns the manifest's digest (`sha256:<hex>`), the one the engine lists; equal input
    gives equal bytes. Raises `verify.Refused` for weights that are no GGUF or not the locked ones; nothing is laid then.
    """
    full = canonical_name(name)
    blobs = store / "blobs"
    make_folder(blobs)
    weights = _add_weights(blobs, gguf, sha256)
    layers = [
        weights,
        _add_bytes(blobs, IMAGE + "template", template.encode()),
        _add_bytes(blobs, IMAGE + "params", _compact(params)),
        _add_bytes(blobs, IMAGE + "license", licence),
    ]
    config = _add_bytes(blobs, verify.CONFIG_TYPE, _compact(_config(facts, layers)))
    return _add_manifest(store, full, encode_manifest(config, layers))


def _config(facts: GgufFacts, layers: list[verify.Entry]) -> dict[str, Any]:
    return {
        "model_format": "gguf",
        "model_family": facts.family,
        "model_families": [facts.family],
        "model_type": facts.parameters,
        "file_type": facts.quantization,
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
    }


def _compact(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def make_folder(folder: Path) -> None:
    """Make a folder of a store with all above it, readable for everybody."""
    for path in (*reversed(folder.parents), folder):
        if not path.exists():
            path.mkdir()
            path.chmod(0o755)  # whatever the umask: the engine's own user must read it


def _add_weights(blobs: Path, gguf: Path, sha256: str) -> verify.Entry:
    with gguf.open("rb") as source:
        if source.read(len(GGUF_MAGIC)) != GGUF_MAGIC:
            raise verify.Refused(f"{gguf}: not a GGUF file")
        source.seek(0)
        return _add_stream(blobs, IMAGE + "model", source, sha256)


def _add_bytes(blobs: Path, media_type: str, content: bytes) -> verify.Entry:
    return _add_stream(blobs, media_type, io.BytesIO(content), hashlib.sha256(content).hexdigest())


def _add_stream(blobs: Path, media_type: str, source: IO[bytes], sha256: str) -> verify.Entry:
    """Copy, hash what is written, and give it its name only when it is right."""
    with tempfile.TemporaryDirectory(dir=blobs.parent, prefix=".laying-") as folder:
        fresh = Path(folder) / "blob"
        found, size = _copy(source, fresh)
        if found != sha256:
            raise verify.Refused(f"{media_type}: sha256 is {found} instead of {sha256}")
        fresh.chmod(0o644)
        fresh.rename(blobs / f"sha256-{sha256}")
    return verify.Entry(media_type, f"sha256:{sha256}", size)


def _copy(source: IO[bytes], path: Path) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with path.open("wb") as copy:
        while chunk := source.read(verify.CHUNK):
            digest.update(chunk)
            size += copy.write(chunk)
        copy.flush()
        os.fsync(copy.fileno())
    return digest.hexdigest(), size


def _add_manifest(store: Path, full: str, raw: bytes) -> str:
    entry = _add_bytes(store / "blobs", verify.MANIFEST_TYPE, raw)
    path = store / verify.manifest_path(full)
    make_folder(path.parent)
    (store / entry.path).rename(path)
    return entry.digest
