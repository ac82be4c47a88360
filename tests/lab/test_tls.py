"""A PC's gateway asked from outside: over TLS, by the PC's address, with the lab's CA alone; nothing else of it is reachable."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from typing import Any

import pytest

from tests.lab import certificates, model
from tests.lab.conftest import Read
from tests.lab.state import Pc

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("converged")]
PORT = 8443


@pytest.fixture
def key(server: Pc, read: Read) -> str:
    """The operator's."""
    return read(server, "cat /etc/citadelle/operator.key").strip()


def ask(server: Pc, method: str, path: str, key: str, body: Any = None, *, stranger: bool = False) -> tuple[int, bytes]:
    """One request from this machine, not the PC, trusting the lab's CA or, as a stranger, others; status and answer."""
    context = ssl.create_default_context(cafile=None if stranger else certificates.CA)
    connection = http.client.HTTPSConnection(server.address, PORT, timeout=120, context=context)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_a_question_is_answered_whole_and_as_a_stream(server: Pc, key: str) -> None:
    question = {"model": model.NAME, "messages": [{"role": "user", "content": "What is the capital of France?"}]}
    status, answer = ask(server, "POST", "/v1/chat/completions", key, question)
    assert status == 200, answer
    whole = json.loads(answer)["choices"][0]["message"]["content"]
    status, answer = ask(server, "POST", "/v1/chat/completions", key, question | {"stream": True})
    *events, last, rest = answer.decode().split("\n\n")
    assert (status, last, rest) == (200, "data: [DONE]", "")
    chunks = [json.loads(event.removeprefix("data: ")) for event in events if event.startswith("data: ")]
    streamed = "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
    assert "Paris" in whole
    assert streamed == whole
    assert (
        json.loads(ask(server, "POST", "/api/chat", key, question | {"stream": False})[1])["message"]["content"]
        == whole
    )


def test_from_outside_there_are_its_routes_for_a_key_and_nothing_else(server: Pc, key: str) -> None:
    expected = {
        ("GET", "/v1/models", key): 200, ("GET", "/healthz", ""): 200, ("GET", "/v1/models", "ck_wrong"): 401,
        ("GET", "/api/ps", key): 404, ("POST", "/api/pull", key): 404, ("GET", "/v1/../api/ps", key): 404,
        ("GET", "/config/", key): 404, ("GET", "/metrics", key): 404,
    }  # fmt: skip
    assert {request: ask(server, *request)[0] for request in expected} == expected
    with pytest.raises(ssl.SSLCertVerificationError):
        ask(server, "GET", "/v1/models", key, stranger=True)
    for port in (8080, 11434, 2019, 9090):
        with pytest.raises(OSError, match=r"refused|timed out"):
            socket.create_connection((server.address, port), 1).close()


def test_the_key_of_the_certificate_is_roots_and_caddys_alone(server: Pc, read: Read) -> None:
    assert read(server, "stat -c '%U:%G %a' /etc/citadelle/tls/key.pem").strip() == "citadelle-tls:root 400"
    said = read(
        server,
        "docker inspect --format '{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}}' citadelle-tls-1",
    )
    assert said.strip() == "10004:10004 true [ALL]"
    assert "/v1/models" not in read(server, "docker logs citadelle-tls-1 2>&1")
