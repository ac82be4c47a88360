"""The stack on this machine's Docker, as project `citadelle-dev`: the lab's images and models, taken down afterwards.

`CITADELLE_STACK_IMAGES` (an images.lock.env) and `CITADELLE_STACK_MODELS` (an Ollama store) may name others than the lab's.
"""

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from dotenv import dotenv_values

from . import render

LAB = Path(__file__).resolve().parents[2] / ".lab"
IMAGES = Path(os.environ.get("CITADELLE_STACK_IMAGES", LAB / "bundle" / "images.lock.env"))
MODELS = Path(os.environ.get("CITADELLE_STACK_MODELS", LAB / "models"))
PROJECT = "citadelle-dev"
KEY = "ck_" + "d" * 43


@dataclass
class Project:
    """One project: its files, its variables, and what can be done with it."""

    folder: Path
    engine: str
    models: Path
    port: int = 0
    name: str = PROJECT
    variables: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.port = self.port or free_port()
        values = {
            name: value or "" for name, value in (dotenv_values(render.STACK_ENV) | dotenv_values(IMAGES)).items()
        }
        values |= {
            "GATEWAY_PORT": str(self.port),
            "MODELS_DIR": str(self.models),
            "KEYS_DIR": str(self.folder / "keys"),
            "AUDIT_DIR": str(self.folder / "audit/socket"),
            "VERDICT_DIR": str(self.folder / "verdict"),
            "RAG_DIR": str(self.folder / "rag"),
        }
        (self.folder / "rag").mkdir(exist_ok=True)  # no index in it
        self.judge(True)
        self.variables = values
        (self.folder / "stack.env").write_text("".join(f"{name}={value}\n" for name, value in values.items()))

    def judge(self, ok: bool) -> None:
        """The host's verdict on the model files."""
        (self.folder / "verdict").mkdir(exist_ok=True)
        fresh = self.folder / "verdict/fresh"
        fresh.write_text(json.dumps({"ok": ok}))
        fresh.rename(self.folder / "verdict/models.json")

    def compose(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`docker compose` on this project."""
        paths = [*render.files(self.engine), Path(__file__).with_name("dev.yaml")]
        names = [part for path in paths for part in ("-f", str(path))]
        return docker("compose", "-p", self.name, "--env-file", str(self.folder / "stack.env"), *names, *arguments)

    def up(self, seconds: int = 120) -> subprocess.CompletedProcess[str]:
        """Start, and wait until healthy."""
        return self.compose("up", "-d", "--wait", "--wait-timeout", str(seconds))

    def inspect(self, service: str) -> dict[str, Any]:
        """`docker inspect` of a service's container."""
        return json.loads(docker("inspect", f"{self.name}-{service}-1").stdout)[0]

    def run(self, service: str, *command: str) -> subprocess.CompletedProcess[str]:
        """A command in a service's container."""
        return docker("exec", f"{self.name}-{service}-1", *command)

    def ask(self, content: str, key: str = KEY, **fields: Any) -> tuple[int, str]:
        """One chat through the published port; status and text of the answer's body."""
        body = {"model": self.variables["CHAT_MODEL"], "messages": [{"role": "user", "content": content}]} | fields
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        url = f"http://127.0.0.1:{self.port}/v1/chat/completions"
        request = urllib.request.Request(url, json.dumps(body).encode(), headers)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=120) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def wait_restarted(self, service: str, restarts: int, seconds: float = 60) -> None:
        """Until the service's container was started again by Docker and is healthy."""
        deadline = time.monotonic() + seconds
        while not self._is_restarted(service, restarts):
            assert time.monotonic() < deadline, f"{service} does not come back"
            time.sleep(0.2)

    def _is_restarted(self, service: str, restarts: int) -> bool:
        now = self.inspect(service)
        return now["RestartCount"] > restarts and now["State"]["Health"]["Status"] == "healthy"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=300, check=False)


def engine_of_images() -> str:
    """Which engine the images are for; skips the test with the reason when the stack cannot run here."""
    if docker("info").returncode:
        pytest.skip("no Docker daemon answers on this machine")
    for path in (IMAGES, MODELS / "manifests"):
        if not path.exists():
            pytest.skip(f"{path} is absent: bin/lab builds it")
    images = dotenv_values(IMAGES)
    for image in images.values():
        if docker("image", "inspect", str(image)).returncode:
            pytest.skip(f"image {image} is not loaded on this machine")
    entrypoint = docker("image", "inspect", "--format", "{{.Config.Entrypoint}}", str(images["ENGINE_IMAGE"])).stdout
    return "llamacpp" if "llama-server" in entrypoint else "ollama"
