"""The log has metadata only: a real process, every kind of request, and a canary that must not come out."""

import http.client
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from gateway import log

from .conftest import KEY, MODEL, POLICIES, write_keys

COMPOSE = Path(__file__).resolve().parents[2] / "compose"
CANARY = f"canary{secrets.token_hex(8)}"


def environment(tmp_path: Path, **changes: str) -> dict[str, str]:
    """The gateway's environment; the engine is a port where nobody listens."""
    values = {
        "GATEWAY_ENGINE_URL": "http://127.0.0.1:9", "GATEWAY_CHAT_MODEL": MODEL, "GATEWAY_HOST": "127.0.0.1",
        "GATEWAY_POLICY_FILE": str(POLICIES / "gateway.yaml"), "GATEWAY_KEYS_FILE": str(tmp_path / "keys.json"),
    }  # fmt: skip
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(COMPOSE / "gateway")} | values | changes


@pytest.fixture
def process(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """`python -m gateway` on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    write_keys(tmp_path / "keys.json", KEY)
    command = [sys.executable, "-m", "gateway"]
    env = environment(tmp_path, GATEWAY_PORT=str(port))
    started = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        wait_for(port)
        yield started, port
    finally:
        started.kill()
        started.wait()


def wait_for(port: int) -> None:
    """Until the port answers, at most 20 seconds."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the gateway does not listen")


def send(port: int, method: str, path: str, body: str, **headers: str) -> int:
    """One request; its status."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, body, {"Content-Type": "application/json"} | headers)
    return connection.getresponse().status


def test_no_content_in_the_log_and_a_clean_stop(process: tuple[subprocess.Popen[str], int]) -> None:
    gateway, port = process
    bearer = {"Authorization": f"Bearer {KEY}"}
    chat = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": CANARY}]})
    assert send(port, "POST", "/v1/chat/completions", chat, **bearer) == 503
    assert send(port, "POST", "/v1/chat/completions", CANARY, **bearer) == 400
    assert send(port, "POST", "/v1/chat/completions", json.dumps({"model": MODEL, CANARY: CANARY}), **bearer) == 400
    assert send(port, "POST", "/v1/chat/completions", json.dumps({"model": CANARY}), **bearer) == 404
    assert send(port, "POST", f"/v1/chat/completions?{CANARY}", chat, Authorization=f"Bearer {CANARY}") == 401
    assert send(port, "GET", f"/{CANARY}", "", **bearer, Cookie=CANARY) == 404
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", port)) as broken:
            broken.sendall(f"{CANARY} {CANARY}\r\n\r\n".encode())
            broken.recv(1024)
    gateway.send_signal(signal.SIGTERM)
    output, _ = gateway.communicate(timeout=15)
    assert CANARY not in output
    assert KEY not in output
    events = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    assert [(line["status"], line["code"]) for line in events if line["event"] == "request"] == [
        (503, "engine_unavailable"), (400, "invalid_json"), (400, "unknown_field"), (404, "model_not_found"), (401, "invalid_key"),
        (404, "unknown_route"),
    ]  # fmt: skip
    ids = [line["id"] for line in events if line["event"] == "request"]
    assert len({one for one in ids if re.fullmatch("[0-9a-f]{16}", one)}) == 6
    assert "user0" not in output
    assert [line for line in output.splitlines() if not line.startswith("{")] == []
    assert (
        0 < [line["event"] for line in events].count("malformed") < 20
    )  # once a second at most: nobody fills the log with these


def test_a_field_outside_the_list_is_a_bug() -> None:
    with pytest.raises(ValueError, match="not a field of the log"):
        log.event("request", prompt="x")


@pytest.mark.parametrize(
    "wrong",
    [
        {"GATEWAY_ENGINE_URL": "https://elsewhere.example/v1"},
        {"GATEWAY_CHAT_MODEL": ""},
        {"GATEWAY_POLICY_FILE": "/nowhere/gateway.yaml"},
        {"GATEWAY_DEBUG": "1"},
    ],
)
def test_wrong_settings_stop_it(tmp_path: Path, wrong: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gateway"], env=environment(tmp_path, **wrong), capture_output=True, text=True, timeout=30, check=False
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("gateway: cannot start: ")
