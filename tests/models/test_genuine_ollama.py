"""The genuine Ollama serves a store that `add_gguf` laid, lists it under our digest, and cannot change a byte of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from citadelle.models import verify
from citadelle.models.lock import ModelsLock
from tests.lab import model as lab
from tests.lab import state
from tests.lab.commands import LABEL

pytestmark = pytest.mark.docker
CLOSED = "--user=10001:10001 --read-only --cap-drop=ALL --security-opt=no-new-privileges --tmpfs=/home:uid=10001 --tmpfs=/tmp"
SETTINGS = "HOME=/home OLLAMA_NOPRUNE=1 OLLAMA_NO_CLOUD=1 OLLAMA_HOST=0.0.0.0:11434 OLLAMA_MODELS=/models"


def _docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout.strip()


def _image() -> str:
    images = _docker(
        "image", "ls", "--filter", "reference=*/ollama", "--filter", "reference=ollama/ollama", "--quiet"
    ).split()
    if not images:
        pytest.skip("no image of Ollama on this machine: run bin/lab first")
    return images[0]


@pytest.fixture(scope="module")
def genuine_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = state.STATE / "models"
    if not source.is_dir():
        pytest.skip(f"the lab's model is not laid: {source}: run bin/lab first")
    path = tmp_path_factory.mktemp("genuine") / "store"
    shutil.copytree(source, path)
    for parent in list(path.parents)[:3]:
        parent.chmod(0o755)  # pytest's own folders are closed to the engine's user
    return path


@pytest.fixture(scope="module")
def engine(genuine_store: Path) -> Iterator[str]:
    settings = [f"--env={setting}" for setting in SETTINGS.split()]
    where = [f"--volume={genuine_store}:/models:ro", "--publish=127.0.0.1::11434", f"--label={LABEL}"]
    box = _docker("run", "--detach", "--rm", *CLOSED.split(), *settings, *where, _image())
    try:
        url = f"http://{_docker('port', box, '11434')}"
        _wait(url)
        yield url
    finally:
        _docker("kill", box)


def _wait(url: str) -> None:
    for _ in range(60):
        try:
            requests.get(url, timeout=2)
        except requests.ConnectionError:
            time.sleep(0.5)
        else:
            return
    pytest.fail(f"Ollama does not answer at {url}")


def _findings(store: Path) -> list[verify.Finding]:
    root = os.open(store, os.O_RDONLY)
    try:
        return verify.verify(root, ModelsLock.read(lab.LOCK).checked([lab.NAME]), {os.geteuid()}).findings
    finally:
        os.close(root)


def _post(url: str, **body: Any) -> requests.Response:
    return requests.post(url, json={"model": lab.NAME, "stream": False, **body}, timeout=120)


def test_lists_our_digest(engine: str) -> None:
    (listed,) = requests.get(f"{engine}/api/tags", timeout=10).json()["models"]
    assert listed["name"] == lab.NAME
    assert f"sha256:{listed['digest']}" == ModelsLock.read(lab.LOCK).model(lab.NAME).manifest.digest
    assert (listed["details"]["family"], listed["details"]["quantization_level"]) == ("llama", "Q4_1")


def test_answers(engine: str) -> None:
    question = [{"role": "user", "content": "What is the capital of France?"}]
    assert "Paris" in _post(f"{engine}/api/chat", messages=question).json()["message"]["content"]
    answer = _post(f"{engine}/v1/chat/completions", messages=question).json()
    assert "Paris" in answer["choices"][0]["message"]["content"]
    assert answer["choices"][0]["finish_reason"] == "stop"


def test_cannot_change_the_store(engine: str, genuine_store: Path) -> None:
    assert not _post(f"{engine}/api/create", **{"from": lab.NAME, "model": "evil", "system": "x"}).ok
    assert not _post(f"{engine}/api/copy", source=lab.NAME, destination="evil").ok
    assert not requests.delete(f"{engine}/api/delete", json={"model": lab.NAME}, timeout=30).ok
    assert _findings(genuine_store) == []
