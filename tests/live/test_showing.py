"""Grafana and Loki as they are shipped: the pinned images, confined as compose/ says, with the configurations of a release. `--live` only.

What other tests judge by types, grammars and references is asked of the programs themselves here. Where no registry answers, all of it
is skipped, and says so: the machines on which this was written reach none (test_loki.py has run against a Loki of another way).
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from dotenv import dotenv_values
from pyinfra.context import ctx_host

from citadelle import certificates, images
from citadelle.observability import vault
from roles.observability.settings import ObservabilitySettings
from roles.stack.watching import watching
from tests.compose import render
from tests.compose.running import docker, free_port
from tests.conftest import ROOT
from tests.observability.test_dashboards import MADE, panels

pytestmark = pytest.mark.live

PINS = {name: value or "" for name, value in dotenv_values(ROOT / "compose/images.lock.env").items()}
NAME = "citadelle-live"
JOURNALD = re.compile(r"driver: journald.*\n *options: .*\n")
SERVICES = ["tls", "prometheus", "loki", "grafana"]


@dataclass
class Shown:
    """Grafana behind TLS: its port, what is trusted, who is logged in."""

    port: int
    trust: ssl.SSLContext
    cookie: str = ""

    def ask(self, path: str, body: Any = None) -> tuple[int, Any]:
        """One request; status and the JSON of its answer. A login's cookie is kept."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "Cookie": self.cookie}
        request = urllib.request.Request(f"https://127.0.0.1:{self.port}{path}", data, headers)
        handlers = urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self.trust)
        try:
            with urllib.request.build_opener(*handlers).open(request, timeout=60) as response:
                if found := response.headers.get("Set-Cookie"):
                    self.cookie = found.partition(";")[0]
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, error.read()


def pulled(name: str) -> str:
    """A pinned image, here by its digest."""
    done = docker("pull", "--quiet", PINS[name])
    if done.returncode:
        pytest.skip(f"no registry gives {PINS[name]}: {done.stderr.strip()}")
    return PINS[name]


def lay_release(folder: Path, password: str) -> dict[str, str]:
    """A release with all that is shown, and the host's folders below `folder`; the variables of the stack."""
    given = ObservabilitySettings(observability=True, observability_grafana_port=free_port(), observability_seconds=5)
    with ctx_host.use(SimpleNamespace(name="@linux/live")):
        values, made = watching(given)
    shutil.copytree(ROOT / "compose", folder / "compose")
    for path in (folder / "compose").glob("*.yaml"):  # a machine of tests may have no journald, which every host has
        path.write_text(JOURNALD.sub("driver: local\n", path.read_text()))
    for path, content in made.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    own = {"password": "x" * 43, "grafana_key": secrets.token_urlsafe(32), "grafana_password": password}
    web = f"basic_auth_users: {{citadelle: '{vault.hashed(own['password'])}'}}\n"
    variables = {name: str(value) for name, value in (dotenv_values(render.STACK_ENV) | values).items()}
    for name, owner in (vault.OWNERS | vault.FURTHER).items():
        for kind in ("DIR", "SECRETS"):
            place = folder / f"{name}-{kind}"
            place.mkdir()
            variables[f"{name.upper()}_{kind}"] = str(place)
            for file, text in (own | {"web.yaml": web}).items() if kind == "SECRETS" else ():
                (place / file).write_text(text)
            for path in (place, *place.iterdir()):
                os.chown(path, owner, owner)
    return variables


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Shown, str]]:
    """All four services, healthy; and Grafana's password."""
    if os.geteuid():
        pytest.skip("needs root: folders of containers belong to their users")
    folder, password = tmp_path_factory.mktemp("live"), secrets.token_urlsafe(16)
    folder.chmod(0o755)
    variables = lay_release(folder, password) | {
        name: pulled(name) for name in ("PROMETHEUS_IMAGE", "LOKI_IMAGE", "GRAFANA_IMAGE")
    }
    build = images.tls(pulled("CADDY_IMAGE"), ROOT / "compose", "citadelle-live")
    assert docker(*images.build_command(build, build.reference())[1:]).returncode == 0
    certificates.make(folder / "own", "pc", ["127.0.0.1"])
    (folder / "tls").mkdir()
    for source, target in (("pc.pem", "certificate.pem"), ("pc.key", "key.pem")):
        shutil.copy(folder / "own" / source, folder / "tls" / target)
        os.chown(folder / "tls" / target, 10004, 10004)
    variables |= {"TLS_IMAGE": build.reference(), "TLS_DIR": str(folder / "tls"), "TLS_PORT": str(free_port())}
    (folder / "stack.env").write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
    files = [
        f"--file={folder}/compose/{path.name}"
        for path in render.files("ollama", further="tls+observability+dashboards")
    ]
    compose = ["compose", "-p", NAME, "--env-file", f"{folder}/stack.env", *files]
    try:
        up = docker(*compose, "up", "--detach", "--wait", "--wait-timeout", "240", "--no-deps", *SERVICES)
        assert up.returncode == 0, up.stderr + docker(*compose, "logs", "--tail", "50").stdout
        yield Shown(int(variables["GRAFANA_PORT"]), ssl.create_default_context(cafile=folder / "own/ca.pem")), password
    finally:
        docker(*compose, "down", "--volumes", "--timeout", "5")


def lokis(request: pytest.FixtureRequest) -> str:
    """Address of the container's Loki, for tests of it alone."""
    request.getfixturevalue("shown")
    return "http://127.0.0.1:3100"


def test_loki_accepts_its_configuration(shown: tuple[Shown, str]) -> None:
    command = ["/usr/bin/loki", "-config.file=/etc/citadelle/loki.yaml", "-verify-config"]
    done = docker("exec", f"{NAME}-loki-1", *command)
    assert done.returncode == 0, done.stderr


def test_lines_that_are_pushed_are_found(shown: tuple[Shown, str]) -> None:
    """By the port on the loopback address, as rsyslog's."""
    canary, now = secrets.token_hex(8), time.time_ns()
    stream = {"stream": {"job": "audit", "host": "live"}, "values": [[str(now), json.dumps({"key": canary})]]}
    push = urllib.request.Request(
        "http://127.0.0.1:3100/loki/api/v1/push",
        json.dumps({"streams": [stream]}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(push, timeout=30) as answer:
        assert answer.status == 204
    url = f"http://127.0.0.1:3100/loki/api/v1/query_range?query=%7Bjob%3D%22audit%22%7D&start={now - 10**9}"
    with urllib.request.urlopen(url, timeout=30) as answer:
        assert canary in answer.read().decode()
    with urllib.request.urlopen("http://127.0.0.1:3100/config", timeout=30) as answer:
        assert re.search(r"(?m)^  retention_period: (30d|4w2d|720h)", answer.read().decode())


def test_nobody_sees_anything_without_a_login(shown: tuple[Shown, str]) -> None:
    grafana, password = shown
    stranger = Shown(grafana.port, grafana.trust)
    assert stranger.ask("/api/search")[0] == 401
    assert stranger.ask("/api/datasources")[0] == 401
    assert stranger.ask("/metrics")[0] == 404
    assert stranger.ask("/login", {"user": "admin", "password": "admin"})[0] == 401
    assert stranger.ask("/api/user/signup", {"email": "x@example.org"})[0] in {401, 404}
    assert stranger.ask("/login", {"user": "operator", "password": password})[0] == 200
    assert stranger.cookie.startswith("__Host-grafana_session=")


def test_sources_and_dashboards_are_there_and_every_question_is_understood(shown: tuple[Shown, str]) -> None:
    grafana, password = shown
    assert grafana.ask("/login", {"user": "operator", "password": password})[0] == 200
    for uid in ("prometheus", "loki"):
        status, said = grafana.ask(f"/api/datasources/uid/{uid}/health")
        assert (status, said["status"]) == (200, "OK"), said
    boards = {board["uid"] for board in grafana.ask("/api/search?tag=citadelle")[1]}
    assert boards == {board["uid"] for board in MADE.values()}
    for board in (board for (_, language), board in MADE.items() if language == "en"):
        for panel in panels(board):
            status, said = grafana.ask("/api/ds/query", {"queries": queries(panel), "from": "now-1h", "to": "now"})
            assert status == 200, (panel["title"], said)
            assert not [result["error"] for result in said["results"].values() if "error" in result]


def queries(panel: dict[str, Any]) -> list[dict[str, Any]]:
    """What a browser sends: with the variables of a dashboard put in, and how dense the answer may be."""
    shape = {"intervalMs": 15000, "maxDataPoints": 200}
    return [target | shape | {"expr": target["expr"].replace("$service", ".+")} for target in panel["targets"]]


def test_no_plugin_was_replaced_and_nothing_outside_was_asked(shown: tuple[Shown, str]) -> None:
    said = docker("logs", f"{NAME}-grafana-1")
    text = said.stdout + said.stderr
    assert not re.search(r"(?i)(failed to install|plugin not registered|read-only file system|grafana\.com)", text)
