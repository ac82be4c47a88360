"""Grafana, Loki, Prometheus and Caddy from the pinned images, with the configuration of a release; one stack for all tests here."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import ssl
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


@pytest.fixture(scope="session")
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
