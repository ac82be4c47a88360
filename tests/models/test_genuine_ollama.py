"""A publisher's GGUF under a manifest of ours: the genuine Ollama takes it, lists it under our digest, and cannot change a byte of it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from citadelle.accelerator.shape import read_shape
from citadelle.models import verify
from citadelle.models.lock import ModelsLock
from tests.conftest import ROOT
from tests.lab import model as lab
from tests.lab.commands import LABEL
from tests.models.fetching import running
from tests.models.ollama import docker, image, lab_store, wait

pytestmark = pytest.mark.docker
CLOSED = "--user=10001:10001 --read-only --cap-drop=ALL --security-opt=no-new-privileges --tmpfs=/home:uid=10001 --tmpfs=/tmp"
SETTINGS = "HOME=/home OLLAMA_NOPRUNE=1 OLLAMA_NO_CLOUD=1 OLLAMA_HOST=0.0.0.0:11434 OLLAMA_MODELS=/models"


@pytest.fixture(scope="module")
def genuine_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Brought by the command from a publisher that redirects to another host, as Hugging Face does; its lock lies beside it."""
    folder = tmp_path_factory.mktemp("genuine")
    model = ModelsLock.read(lab.LOCK).model(lab.NAME)
    (folder / "LICENSE").write_bytes((lab_store() / "blobs" / model.layers[-1].blob).read_bytes())
    recipe = {"name": lab.NAME, "sha256": lab.WEIGHTS_SHA256, "template": lab.TEMPLATE, "params": lab.PARAMS}
    recipe |= {"purpose": "chat", "licence": "Apache-2.0", "licence_file": "LICENSE", **vars(lab.FACTS)}
    with running(lab_store(), folder / "control") as publisher:
        publisher.set(mode="redirect")
        recipe["source"] = f"{publisher.url}/v2/publisher/smollm2/blobs/{model.weights.digest}"
        (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
        command = [sys.executable, "-m", "citadelle.cli", "models", "gguf", str(folder / "recipe.yaml")]
        command += ["--store", str(folder / "store"), "--lock", str(folder / "lock.json")]
        env = {**os.environ, "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"}
        subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True, timeout=120)
        assert any(one["path"].startswith("/cdn") for one in publisher.requests())
    for parent in list((folder / "store").parents)[:3]:
        parent.chmod(0o755)  # pytest's own folders are closed to the engine's user
    return folder / "store"


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


def test_the_lock_is_the_one_that_was_made_of_the_same_file_elsewhere(genuine_store: Path) -> None:
    made, other = (
        ModelsLock.read(genuine_store.with_name("lock.json")).model(lab.NAME),
        ModelsLock.read(lab.LOCK).model(lab.NAME),
    )
    assert made.model_copy(update={"source": other.source}) == other
    blob = genuine_store / "blobs" / made.weights.blob
    assert (
        subprocess.run(["sha256sum", blob], capture_output=True, text=True, check=True).stdout.split()[0]
        == lab.WEIGHTS_SHA256
    )


def test_lists_our_digest(engine: str) -> None:
    (listed,) = requests.get(f"{engine}/api/tags", timeout=10).json()["models"]
    assert listed["name"] == lab.NAME
    assert f"sha256:{listed['digest']}" == ModelsLock.read(lab.LOCK).model(lab.NAME).manifest.digest
    assert (listed["details"]["family"], listed["details"]["quantization_level"]) == ("llama", "Q4_1")


def test_the_engine_reads_of_the_file_what_the_recipe_and_we_do(engine: str, genuine_store: Path) -> None:
    told = _post(f"{engine}/api/show").json()["model_info"]
    assert (told["general.architecture"], told["general.file_type"]) == (
        lab.FACTS.family,
        3,
    )  # 3: Q4_1, LLAMA_FTYPE_MOSTLY_Q4_1
    assert f"{told['general.parameter_count'] / 1e6:.2f}M" == lab.FACTS.parameters
    shape = read_shape(genuine_store / f"blobs/sha256-{lab.WEIGHTS_SHA256}")
    width = told["llama.embedding_length"] // told["llama.attention.head_count"]
    token = told["llama.block_count"] * told["llama.attention.head_count_kv"] * 2 * width * 2
    assert (shape.token, shape.trained) == (token, told["llama.context_length"])


def test_its_own_command_lists_shows_and_runs_it(box: str, engine: str) -> None:
    digest = ModelsLock.read(lab.LOCK).model(lab.NAME).manifest.digest.removeprefix("sha256:")
    assert _says(box, "ollama list").splitlines()[1].split()[:2] == [lab.NAME, digest[:12]]
    shown = {
        line.split()[0]: line.split()[-1] for line in _says(box, f"ollama show {lab.NAME}").splitlines() if line.strip()
    }
    assert {"architecture": "llama", "parameters": "134.52M", "quantization": "Q4_1"}.items() <= shown.items()
    assert "Paris" in _says(box, f"ollama run {lab.NAME} 'What is the capital of France?' 2>/dev/null")
    assert "read-only file system" in _says(box, f"ollama rm {lab.NAME}")


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
