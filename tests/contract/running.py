"""A gateway in front of a genuine engine, and the environment of the genuine clients."""

import hashlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.gateway.conftest import KEY, POLICIES, write_keys
from tests.gateway.test_log import environment
from tests.lab import builds, model, state

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "requirements.txt"
MODEL = model.NAME
ENGINES = {
    "ollama": ["serve"],
    "llamacpp": ["--host", "0.0.0.0", "--port", "11434", "--model", f"/models/blobs/sha256-{model.WEIGHTS_SHA256}", "--alias", MODEL,
                 "--ctx-size", "2048", "--parallel", "1", "--cache-ram", "0", "--offline", "--no-webui"],
}  # fmt: skip


@dataclass
class Gateway:
    """A running gateway: its address, the engine behind it, and what it has logged."""

    url: str
    engine: str
    log: Path

    def events(self) -> list[dict[str, Any]]:
        """Its log."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def said_to(self, client: str, python: Path) -> dict[str, Any]:
        """What the genuine client got: see calls.py."""
        given = {"url": self.url, "key": KEY, "model": MODEL, "embed": MODEL}
        done = subprocess.run(
            [python, HERE / "calls.py", client], input=json.dumps(given), capture_output=True, text=True, timeout=500, check=False,
            env={"PATH": os.environ["PATH"], "NO_PROXY": "127.0.0.1"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found


def clients() -> Path:
    """The Python of the clients' environment, made from the locked requirements when it is absent or theirs have changed."""
    folder = state.STATE / "clients"
    wanted, stamp = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest(), folder / "stamp"
    if not stamp.is_file() or stamp.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([folder / "bin/pip", "install", "--quiet", "--require-hashes", "-r", REQUIREMENTS], check=True)
        stamp.write_text(wanted)
    return folder / "bin/python"


@contextmanager
def running_engine(kind: str) -> Iterator[str]:
    """The genuine engine with the lab's model; its address."""
    image = builds.engine(kind).reference()
    for path, known in (
        (state.STATE / "models/manifests", (state.STATE / "models/manifests").is_dir()),
        (image, _has(image)),
    ):
        if not known:
            pytest.skip(f"{path} is absent: bin/lab builds it")
    name = f"citadelle-contract-{os.getpid()}-{kind}"
    options = [
        "--user",
        "65534:65534",
        "--read-only",
        "--cap-drop",
        "ALL",
        "--security-opt",
        "no-new-privileges",
        "--tmpfs",
        "/tmp",
    ]
    settings = [
        f"--env={name}"
        for name in ("HOME=/tmp", "OLLAMA_HOST=0.0.0.0:11434", "OLLAMA_MODELS=/models", "OLLAMA_NOPRUNE=1")
    ]
    program = "ollama" if kind == "ollama" else "llama-server"
    _docker("run", "--detach", "--rm", "--name", name, "--publish", "127.0.0.1::11434", f"--volume={state.STATE / 'models'}:/models:ro",
            *options, *settings, "--entrypoint", program, image, *ENGINES[kind])  # fmt: skip
    try:
        address = _docker("port", name, "11434").splitlines()[0]
        url = f"http://{address}"
        _wait(f"{url}/v1/models", 120)
        yield url
    finally:
        _docker("rm", "--force", name)


@contextmanager
def running_gateway(folder: Path, engine: str, kind: str) -> Iterator[Gateway]:
    """`python -m gateway` with the shipped policy, opened for the command `ollama run` and for completions of a prompt."""
    policy = yaml.safe_load((POLICIES / "gateway.yaml").read_text("utf-8"))
    policy["routes"] += ["POST /v1/completions", "POST /api/generate", "POST /api/show", "HEAD /"]
    (folder / "gateway.yaml").write_text(yaml.safe_dump(policy, allow_unicode=True), "utf-8")
    (folder / policy["system_prompt"]).write_text((POLICIES / policy["system_prompt"]).read_text("utf-8"), "utf-8")
    write_keys(folder / "keys.json", KEY)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    changes = {
        "GATEWAY_ENGINE_URL": engine,
        "GATEWAY_CHAT_MODEL": MODEL,
        "GATEWAY_PORT": str(port),
        "GATEWAY_POLICY_FILE": str(folder / "gateway.yaml"),
    }
    if kind == "ollama":
        changes["GATEWAY_EMBED_MODEL"] = MODEL
    log = folder / "log"
    with log.open("w") as output:
        process = subprocess.Popen([sys.executable, "-m", "gateway"], env=environment(folder, **changes), stderr=output)
    try:
        _wait(f"http://127.0.0.1:{port}/healthz", 120)
        yield Gateway(f"http://127.0.0.1:{port}", kind, log)
    finally:
        process.terminate()
        process.wait(30)


def _has(image: str) -> bool:
    return subprocess.run(["docker", "image", "inspect", image], capture_output=True, check=False).returncode == 0


def _docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _wait(url: str, seconds: float) -> None:
    """Until it answers with 200."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + seconds
    while True:
        try:
            opener.open(url, timeout=5).close()
        except OSError:
            assert time.monotonic() < deadline, f"does not answer: {url}"
            time.sleep(0.2)
        else:
            return
