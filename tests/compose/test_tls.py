"""Caddy as it is shipped, confined as compose/tls.yaml says, before a gateway: the genuine program, asked over TLS."""

import contextlib
import json
import os
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from citadelle import certificates
from tests.gateway.conftest import KEY, MODEL, write_keys
from tests.gateway.double import TOKENS
from tests.gateway.test_log import environment, wait_for
from tests.lab import builds

from . import render
from .running import docker, free_port

pytestmark = pytest.mark.docker


@dataclass
class Front:
    """The port of TLS, what clients trust, and the container."""

    port: int
    trust: ssl.SSLContext
    container: str

    def ask(self, path: str, body: object = None, key: str = KEY) -> tuple[int, bytes]:
        """One request over TLS, as from outside: by address and with the CA alone."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"https://127.0.0.1:{self.port}{path}", data, headers)
        handlers = urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self.trust)
        try:
            with urllib.request.build_opener(*handlers).open(request, timeout=60) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def raw(self, request: bytes) -> bytes:
        """Bytes over TLS, and all that comes back."""
        with (
            socket.create_connection(("127.0.0.1", self.port), 60) as plain,
            self.trust.wrap_socket(plain, server_hostname="127.0.0.1") as line,
        ):
            line.sendall(request)
            answer = b""
            while part := line.recv(65536):
                answer += part
            return answer


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """Engine's double, gateway and Caddy; the former two on this machine, where Docker's bridge reaches them."""
    image = builds.tls().reference()
    if docker("image", "inspect", image).returncode:
        pytest.skip(f"image {image} is absent: bin/lab builds it")
    folder = tmp_path_factory.mktemp("tls")
    bridge = docker("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}").stdout.strip()
    certificates.make(folder / "own", "pc", ["127.0.0.1"])
    (folder / "certificate.pem").write_bytes((folder / "own/pc.pem").read_bytes())
    (folder / "key.pem").write_bytes((folder / "own/pc.key").read_bytes())
    (folder / "key.pem").chmod(0o644)  # of a test; on a host it is root's and Caddy's
    folder.chmod(0o755)
    caddyfile = folder / "Caddyfile"
    engine_port, gateway_port, port = free_port(), free_port(), free_port()
    caddyfile.write_text(
        (render.COMPOSE / "tls/Caddyfile").read_text().replace("gateway-front:8080", f"gateway-front:{gateway_port}")
    )
    write_keys(folder / "keys.json", KEY)
    double = "import asyncio, sys; from tests.gateway.double import *\n" + DOUBLE
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(render.COMPOSE.parent)}
    settings = environment(
        folder,
        GATEWAY_HOST=bridge,
        GATEWAY_PORT=str(gateway_port),
        GATEWAY_ENGINE_URL=f"http://127.0.0.1:{engine_port}",
    )
    name = f"citadelle-tls-{os.getpid()}"
    with (
        subprocess.Popen([sys.executable, "-c", double, str(engine_port), MODEL], env=env) as engine,
        subprocess.Popen([sys.executable, "-m", "gateway"], env=settings, stderr=subprocess.DEVNULL) as gateway,
    ):
        try:
            wait_for(engine_port)
            started = docker(*confined(name, image, port, folder, caddyfile, bridge))
            assert started.returncode == 0, started.stderr
            trust = ssl.create_default_context(cafile=folder / "own/ca.pem")
            running = Front(port, trust, name)
            wait_until_served(running)
            yield running
        finally:
            docker("rm", "--force", name)
            engine.kill()
            gateway.kill()


DOUBLE = """
async def main():
    double = EngineDouble(sys.argv[2])
    application = web.Application()
    application.router.add_get("/v1/models", double.models)
    application.router.add_post("/v1/chat/completions", double.chat)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(sys.argv[1])).start()
    await asyncio.Event().wait()
asyncio.run(main())
"""


def confined(name: str, image: str, port: int, folder: Path, caddyfile: Path, bridge: str) -> list[str]:
    """`docker run` with what compose/tls.yaml says of the service."""
    service = render.own_model("ollama", further="tls")["services"]["tls"]
    options = [
        "--user",
        service["user"],
        "--read-only",
        "--cap-drop",
        "ALL",
        "--security-opt",
        service["security_opt"][0],
        "--memory",
        service["mem_limit"],
    ]
    options += [part for entry in service["tmpfs"] for part in ("--tmpfs", entry)]
    options += [f"--env={key}={value}" for key, value in service["environment"].items()]
    mounts = [f"--volume={caddyfile}:/etc/caddy/Caddyfile:ro", f"--volume={folder}:/etc/caddy/tls:ro"]
    return ["run", "--detach", "--name", name, "--label=org.citadelle.lab=1", f"--publish=127.0.0.1:{port}:8443",
        f"--add-host=gateway-front:{bridge}",
            *options, *mounts, image]  # fmt: skip


def wait_until_served(front: Front) -> None:
    """Until a question gets an answer of the gateway's, at most a minute."""
    deadline = time.monotonic() + 60
    while True:
        try:
            if front.ask("/v1/models")[0] == 200:
                return
        except OSError:
            pass
        assert time.monotonic() < deadline, docker("logs", front.container).stderr
        time.sleep(0.2)


def test_a_question_over_tls_is_answered_and_streamed(front: Front) -> None:
    ask = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}
    status, body = front.ask("/v1/chat/completions", ask)
    assert (status, json.loads(body)["choices"][0]["message"]["content"]) == (200, "".join(TOKENS))
    status, body = front.ask("/v1/chat/completions", ask | {"stream": True})
    assert (status, body.count(b"data: "), body.endswith(b"data: [DONE]\n\n")) == (200, len(TOKENS) + 1, True)
    assert front.ask("/v1/models", key="ck_wrong")[0] == 401


def test_who_does_not_trust_the_ca_gets_nothing(front: Front) -> None:
    stranger = Front(front.port, ssl.create_default_context(), front.container)
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        stranger.ask("/v1/models")
    old = ssl.create_default_context()
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    with socket.create_connection(("127.0.0.1", front.port), 20) as plain, pytest.raises(ssl.SSLError):
        old.wrap_socket(plain, server_hostname="127.0.0.1")


@pytest.mark.parametrize(
    "path",
    [
        "//v1/models",
        "/v1%2fmodels",
        "/v1/models;x",
        "/x/../v1/models",
        "/V1/models",
        "/api/pull",
        "/config/",
        "/metrics",
    ],
)
def test_no_spelling_of_a_path_gets_further_than_without_tls(front: Front, path: str) -> None:
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {KEY}\r\nConnection: close\r\n\r\n"
    assert b" 404 " in front.raw(head.encode()).split(b"\r\n", 1)[0]


def test_a_head_that_is_too_large_or_dawdles_is_cut(front: Front) -> None:
    large = b"GET /v1/models HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 100_000 + b"\r\n\r\n"
    with contextlib.suppress(ConnectionError, ssl.SSLError):  # closed before all was sent: the same
        assert b" 431 " in front.raw(large).split(b"\r\n", 1)[0]
    assert b" 200 " not in front.raw(b"GET /v1/models HTTP/1.1\r\nHost: x\r\nX: y")  # after 15 seconds


def test_it_has_no_admin_interface_and_no_log_of_requests(front: Front) -> None:
    said = docker("logs", front.container)
    assert "/v1/models" not in said.stdout + said.stderr
    assert KEY not in said.stdout + said.stderr
    listening = docker("exec", front.container, "cat", "/proc/net/tcp", "/proc/net/tcp6").stdout
    assert ":07E3 " not in listening  # 2019, Caddy's own
    assert ":20FB " in listening  # 8443
