"""The genuine Ollama serves a store that `add_gguf` laid, lists it under our digest, and cannot change a byte of it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from citadelle.models import verify
from citadelle.models.lock import ModelsLock
from tests.lab import model as lab
from tests.lab.commands import LABEL
from tests.models.ollama import docker, image, lab_store, wait

pytestmark = pytest.mark.docker
CLOSED = "--user=10001:10001 --read-only --cap-drop=ALL --security-opt=no-new-privileges --tmpfs=/home:uid=10001 --tmpfs=/tmp"
SETTINGS = "HOME=/home OLLAMA_NOPRUNE=1 OLLAMA_NO_CLOUD=1 OLLAMA_HOST=0.0.0.0:11434 OLLAMA_MODELS=/models"


@pytest.fixture(scope="module")
def genuine_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("genuine") / "store"
    shutil.copytree(lab_store(), path)
    for parent in list(path.parents)[:3]:
        parent.chmod(0o755)  # pytest's own folders are closed to the engine's user
    return path


@pytest.fixture(scope="module")
def box(genuine_store: Path) -> Iterator[str]:
    """The container's id."""
    settings = [f"--env={setting}" for setting in SETTINGS.split()]
    where = [f"--volume={genuine_store}:/models:ro", "--publish=127.0.0.1::11434", f"--label={LABEL}"]
    box = docker("run", "--detach", "--rm", *CLOSED.split(), *settings, *where, image())
    try:
        yield box
    finally:
        docker("kill", box)


@pytest.fixture(scope="module")
def engine(box: str) -> str:
    url = f"http://{docker('port', box, '11434')}"
    wait(url)
    return url


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
    short = {"num_predict": 32}  # the machine may be busy
    assert "Paris" in _post(f"{engine}/api/chat", messages=question, options=short).json()["message"]["content"]
    answer = _post(f"{engine}/v1/chat/completions", messages=question, temperature=0, max_tokens=64).json()
    assert "Paris" in answer["choices"][0]["message"]["content"]
    assert answer["choices"][0]["finish_reason"] == "stop"


def test_embeds(engine: str) -> None:
    vectors = _post(f"{engine}/api/embed", input=["The capital of France", "A recipe for soup"]).json()["embeddings"]
    assert len({len(vector) for vector in vectors}) == 1
    assert len(vectors[0]) > 100
    assert vectors[0] != vectors[1]


def test_cannot_change_the_store(engine: str, genuine_store: Path) -> None:
    digest = "sha256:" + hashlib.sha256(b"evil").hexdigest()
    elsewhere = "127.0.0.1:9/library/evil:1"
    refused = {
        "create": _post(f"{engine}/api/create", **{"from": lab.NAME, "model": "evil", "system": "x"}),
        "create from a file": _post(f"{engine}/api/create", model="evil", files={"x.gguf": digest}),
        "copy": _post(f"{engine}/api/copy", source=lab.NAME, destination="evil"),
        "delete": requests.delete(f"{engine}/api/delete", json={"model": lab.NAME}, timeout=30),
        "blob": requests.post(f"{engine}/api/blobs/{digest}", data=b"evil", timeout=30),
        "pull": _post(f"{engine}/api/pull", model=elsewhere, insecure=True),
        "push": _post(f"{engine}/api/push", model=elsewhere, insecure=True),
    }
    assert {name: answer.status_code for name, answer in refused.items() if answer.ok} == {}
    assert _findings(genuine_store) == []


def test_runs_as_closed_as_on_a_host(box: str, engine: str) -> None:
    """Read from outside: ordinary user, nothing of root's powers, one writable place, and that in memory."""
    status = dict(
        line.split(":\t", 1)
        for line in Path(f"/proc/{docker('inspect', '--format', '{{.State.Pid}}', box)}/status")
        .read_text()
        .splitlines()
        if ":\t" in line
    )
    assert (status["Uid"].split()[0], int(status["CapEff"], 16), status["NoNewPrivs"]) == ("10001", 0, "1")
    assert "Read-only" in _says(box, "touch /models/x; touch /usr/x")
    assert _says(box, "ls -A /root /home").count("id_ed25519") == 0
    assert "/home/.ollama/id_ed25519" in _says(box, "ls /home/.ollama/id_ed25519")
    assert {
        line.split()[1]
        for line in _says(box, "cat /proc/mounts").splitlines()
        if line.split()[3].startswith("rw") and line.split()[2] == "tmpfs"
    } >= {"/home", "/tmp"}


def _says(box: str, line: str) -> str:
    return subprocess.run(
        ["docker", "exec", box, "sh", "-c", f"{{ {line}; }} 2>&1 || true"], capture_output=True, text=True, check=True
    ).stdout
