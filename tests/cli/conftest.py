"""The command in this process, its hosts behind a genuine sshd on loopback, their gateway the genuine one before the engine's double."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from citadelle.cli import doctor, gateway, run
from citadelle.facts import stack
from citadelle.hardening.table import Table
from tests.conftest import ROOT
from tests.gateway.conftest import KEY, MODEL
from tests.sshd import Sshd

STACK = """#!/bin/sh
echo "current 0123456789ab"; echo "files intact"
for service in engine gateway rag; do
  echo "wanted $service h"; echo "running $service h running Up 2 minutes (healthy)"
done
"""


@dataclass(frozen=True)
class Said:
    """What one call of the command gave."""

    code: int
    out: str
    err: str


Command = Callable[..., Said]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """`citadelle ARGUMENTS`."""

    def call(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["citadelle", *arguments])
        with pytest.raises(SystemExit) as caught:
            run()
        said = capsys.readouterr()
        return Said(int(caught.value.code or 0), said.out, said.err)

    return call


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """The PC; the user is the one that runs the tests."""
    server = Sshd(tmp_path_factory.mktemp("sshd")).start()
    yield server
    server.stop()


@pytest.fixture
def inventory(tmp_path: Path, sshd: Sshd) -> str:
    """An inventory with that PC as the Linux host `pc`, of which every control is accepted as it is."""
    accepted, file = tmp_path / "accepted.yaml", tmp_path / "inventory.py"
    how = {"host": "pc", "reason": "this machine is nobody's host", "expires": "2999-12-31", "accepted_by": "nobody"}
    rows = [{"control": control.id, **how} for control in Table.load(ROOT / "policies/linux.yaml").controls]
    accepted.write_text(yaml.safe_dump({"linux": rows}))
    data = sshd.data | {"hardening_waivers": str(accepted)}
    file.write_text(f"linux = [('@linux/pc', {data!r})]\n")
    return str(file)


@dataclass(frozen=True)
class Deployed:
    """The files of a deployed stack that the command reads on a host."""

    env: Path
    key: Path

    def write(self, port: int, key: str = KEY) -> None:
        """As a deploy leaves them."""
        self.env.write_text(f"CHAT_MODEL={MODEL}\nGATEWAY_BIND=127.0.0.1\nGATEWAY_PORT={port}\n")
        self.key.write_text(f"{key}\n")


@pytest.fixture(scope="session")
def gateway_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Port of the gateway that plays the PC's own."""
    command = [sys.executable, "-m", "tests.cli.stack", str(tmp_path_factory.mktemp("gateway"))]
    path = {"PYTHONPATH": ":".join(str(ROOT / part) for part in ("", "compose/gateway"))}
    with subprocess.Popen(
        command, env=os.environ | path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.stdin.close()


@pytest.fixture
def deployed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployed:
    """The host's paths lead into a folder of the test; the stack's own script is a stand-in that says all is well."""
    files = Deployed(tmp_path / "stack.env", tmp_path / "operator.key")
    script = tmp_path / "stack"
    script.write_text(STACK)
    script.chmod(0o755)
    monkeypatch.setattr(gateway, "ENV", str(files.env))
    monkeypatch.setattr(gateway, "KEY", str(files.key))
    monkeypatch.setattr(doctor, "KEY", str(files.key))
    monkeypatch.setattr(stack, "STACK", str(script))
    return files
