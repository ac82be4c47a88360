"""The registry double, a model large enough to come in several ranges, and what a test of fetching needs around them."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from citadelle.models import verify
from citadelle.models.fetch import STAGING, Fetched, Job, fetch
from citadelle.models.http import Http, Patience
from citadelle.models.lock import ModelsLock, locked_from_manifest
from citadelle.models.origins import RegistryOrigin
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

    def sent(self, digest: str) -> int:
        """Bytes of this blob that have gone out since the last call."""
        file = self.control / "sent"
        lines = [line.split() for line in file.read_text().splitlines()] if file.exists() else []
        file.unlink(missing_ok=True)
        return sum(int(size) for name, size in lines if name == digest)


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


# Whatever answers at all answers at once, but on a busy machine that takes its time.
QUICK = Patience(connect=5, read=5, tries=2, pause=0.01, longest=0.05, slowest=1000)


class Silent:
    """A watcher that counts."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.done = 0

    def begin(self, name: str, size: int) -> None:
        self.sizes.append(size)

    def advance(self, count: int) -> None:
        self.done += count


def bring(store: Path, lock: ModelsLock, url: str, patience: Patience = QUICK, watch: Silent | None = None) -> Fetched:
    origin = RegistryOrigin(url, Http(patience))
    return fetch(store, lock, lock.models, origin, Job(watch or Silent(), patience, part=2 * verify.CHUNK))


def same_files(one: Path, other: Path) -> bool:
    files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    return files == sorted(path.relative_to(other) for path in other.rglob("*") if path.is_file()) and all(
        (one / path).read_bytes() == (other / path).read_bytes() for path in files
    )


def manifest_in(store: Path) -> Path:
    return store / "manifests/registry.ollama.ai/library" / NAME.replace(":", "/")


# What `citadelle models fetch` calls, without what the command imports for its other words: that is most of the time of a short run.
SHORT = """
import sys
from pathlib import Path
from citadelle.models.fetch import Job, fetch
from citadelle.models.lock import ModelsLock
from citadelle.models.origins import RegistryOrigin

class Watch:
    begin = advance = lambda *told: None

store, lock = Path(sys.argv[2]), ModelsLock.read(Path(sys.argv[4]))
fetch(store, lock, lock.models, RegistryOrigin(sys.argv[6]), Job(Watch()))
"""


def start(store: Path, source: Path, registry: Registry, short: bool) -> subprocess.Popen[bytes]:
    words = ["--store", str(store), "--lock", str(source / "lock.json"), "--registry", registry.url]
    program = ["-c", SHORT] if short else ["-m", "citadelle.cli", "models", "fetch"]
    command = [sys.executable, *program, *words]
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"}
    return subprocess.Popen(command, cwd=ROOT, env=env, stderr=subprocess.PIPE, stdout=subprocess.PIPE)


def wait_for(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


def chunks_there(store: Path) -> int:
    maps = [path for path in (store / STAGING).glob("*.chunks") if path.stat().st_size == 7]
    return sum(path.read_bytes().count(1) for path in maps)


def kill_and_resume(
    store: Path,
    source: Path,
    lock: ModelsLock,
    registry: Registry,
    after: int,
    *,
    on: str = "blobs",
    short: bool = False,
) -> None:
    """Killed (-9) when the registry has sent `after` bytes of the weights and the command has kept what is whole of them."""
    kept, weights = after // verify.CHUNK, lock.models[0].weights.digest
    registry.set(fault="stuck", after=after, least=SIZE, on=on)
    registry.requests()
    process = start(store, source, registry, short)
    log = registry.control / "log"
    wait_for(lambda: log.exists() and weights in log.read_text() and chunks_there(store) == kept)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert (wrong_blobs(store), chunks_there(store)) == ([], kept)
    registry.set()
    registry.requests()
    registry.sent(weights)
    bring(store, lock, registry.url, Patience(read=20))  # on a busy machine too, nothing is asked for twice
    assert findings(store, lock) == []
    # Of what had come before the kill, less than a chunk is sent again.
    assert registry.sent(weights) == SIZE - kept * verify.CHUNK
    asked = [one for one in registry.requests() if weights in one["path"] and not one["path"].startswith("/cdn")]
    ranges = [one["headers"]["Range"].removeprefix("bytes=").split("-") for one in asked]
    assert sum(int(end) - int(first) + 1 for first, end in ranges) == SIZE - kept * verify.CHUNK
