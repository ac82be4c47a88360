"""Whoever gets into the engine's own network speaks to it past the gateway: the model files stay as they are all the same."""

from __future__ import annotations

import hashlib
import json

import pytest

from tests.lab import model
from tests.lab.commands import address
from tests.lab.conftest import Read
from tests.lab.rollout import answers
from tests.lab.state import Pc

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("converged")]

EVIL = "sha256:" + hashlib.sha256(b"evil").hexdigest()
ELSEWHERE = f"{address(1)}:5000/library/evil:1"
REQUESTS: dict[str, tuple[str, str, object]] = {
    "pull": ("POST", "/api/pull", {"model": "mistral", "stream": False}),
    "pull from near": ("POST", "/api/pull", {"model": ELSEWHERE, "insecure": True, "stream": False}),
    "push": ("POST", "/api/push", {"model": model.NAME, "stream": False}),
    "create": ("POST", "/api/create", {"model": "evil", "from": model.NAME, "system": "x", "stream": False}),
    "create over itself": (
        "POST",
        "/api/create",
        {"model": model.NAME, "from": model.NAME, "system": "x", "stream": False},
    ),
    "create from a blob": ("POST", "/api/create", {"model": "evil", "files": {"x.gguf": EVIL}, "stream": False}),
    "copy": ("POST", "/api/copy", {"source": model.NAME, "destination": "evil"}),
    "delete": ("DELETE", "/api/delete", {"model": model.NAME}),
    "blob": ("POST", f"/api/blobs/{EVIL}", "evil"),
}
PROGRAM = """
import http.client, json, sys
found = {}
for name, (method, path, body) in json.load(sys.stdin).items():
    line = http.client.HTTPConnection("engine", 11434, timeout=120)
    line.request(method, path, body if isinstance(body, str) else json.dumps(body), {"Content-Type": "application/json"})
    answer = line.getresponse()
    found[name] = [answer.status, answer.read().decode(errors="replace")]
print(json.dumps(found))
"""
FILES = "cd /run/citadelle/models && find . -printf '%p %y %m %U %T@\\n' | sort && find . -type f -exec sha256sum {} + | sort"


def speak(read: Read, pc: Pc, requests: dict[str, tuple[str, str, object]]) -> dict[str, tuple[int, str]]:
    """What the engine answers to a container beside it."""
    image = read(pc, "docker inspect --format '{{.Config.Image}}' citadelle-gateway-1").strip()
    options = (
        "--rm --interactive --pull never --ulimit nofile=1024:1024 --network citadelle_engine --entrypoint python3"
    )
    run = f"docker run {options} {image} -c '{PROGRAM}'"
    return json.loads(read(pc, f"{run} <<'END'\n{json.dumps(requests)}\nEND"))


def test_it_is_reached_from_there(server: Pc, read: Read) -> None:
    """Otherwise the refusals below would say nothing."""
    found = speak(
        read, server, {"tags": ("GET", "/api/tags", ""), "show": ("POST", "/api/show", {"model": model.NAME})}
    )
    assert {status for status, _ in found.values()} == {200}
    assert model.NAME in found["tags"][1]


def test_it_changes_nothing_for_anybody(server: Pc, read: Read) -> None:
    before = read(server, FILES)
    found = speak(read, server, REQUESTS)
    assert {name: answer for name, answer in found.items() if answer[0] < 400} == {}
    assert read(server, FILES) == before
    assert read(server, "python3 -I -B /usr/local/lib/citadelle/verify.py check && echo right") == "right\n"
    assert model.NAME in speak(read, server, {"tags": ("GET", "/api/tags", "")})["tags"][1]
    assert "Paris" in answers(server.name)
