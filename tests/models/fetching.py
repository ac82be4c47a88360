"""The registry double as a fixture, and a model large enough to come in several ranges."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from citadelle.models import verify
from citadelle.models.lock import ModelsLock, locked_from_manifest
from citadelle.models.store import GgufFacts, add_gguf
from tests.conftest import ROOT

NAME = "large:chat"
SIZE = 6 * verify.CHUNK + 123  # of the weights: six whole chunks and a piece


def lay_large(folder: Path) -> ModelsLock:
    """A store at `folder/source` with one model of 6 MiB; returns its lock."""
    weights = folder / "weights.gguf"
    weights.write_bytes(b"GGUF" + random.Random(1).randbytes(SIZE - 4))
    source = folder / "source"
    add_gguf(
        source,
        NAME,
        weights,
        sha256=hashlib.sha256(weights.read_bytes()).hexdigest(),
        facts=GgufFacts(family="chat", parameters="1K", quantization="F16"),
        template="{{ .Prompt }}",
        params={"num_ctx": 512},
        licence=b"MIT",
    )
    weights.unlink()
    raw = (source / "manifests/registry.ollama.ai/library" / NAME.replace(":", "/")).read_bytes()
    model = locked_from_manifest(raw, name=NAME, purpose="chat", licence="MIT", source="https://example.org/")
    return ModelsLock(serial=1, models=[model])


@dataclass
class Registry:
    """The double: `url`, what it was asked for, and how it misbehaves from now on."""

    url: str
    control: Path
    faults: int = 0

    def set(self, **fault: Any) -> None:
        self.faults += 1
        fresh = self.control / "fresh.json"
        fresh.write_text(json.dumps({"id": str(self.faults), **fault}))
        fresh.replace(self.control / "fault.json")

    def requests(self) -> list[dict[str, Any]]:
        """Every request since the last call."""
        log = self.control / "log"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return [json.loads(line) for line in lines]


@contextmanager
def running(store: Path, control: Path, *upstream: str) -> Iterator[Registry]:
    """The double serving `store`, or what `upstream` serves."""
    control.mkdir(exist_ok=True)
    (control / "fault.json").write_text("{}")
    command = [sys.executable, "-m", "tests.models.registry", str(store), str(control), *upstream]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, **pipes) as process:
        scheme = "https" if (control / "tls.pem").exists() else "http"
        yield Registry(f"{scheme}://127.0.0.1:{int(process.stdout.readline())}", control)  # type: ignore[union-attr]
        process.stdin.close()  # type: ignore[union-attr]


def findings(store: Path, lock: ModelsLock) -> list[verify.Finding]:
    """How the store differs from the lock, exactly."""
    root = os.open(store, verify.OPEN | os.O_DIRECTORY)
    try:
        return verify.verify(root, verify.read_lock(lock.canonical()), {os.geteuid()}).findings
    finally:
        os.close(root)


def wrong_blobs(store: Path) -> list[str]:
    """Blobs whose content is not their name: there must never be one, whatever happened."""
    blobs = sorted((store / "blobs").iterdir()) if (store / "blobs").exists() else []
    return [path.name for path in blobs if path.name != "sha256-" + hashlib.sha256(path.read_bytes()).hexdigest()]
