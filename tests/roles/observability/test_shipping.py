"""What the settings of `logs` place on a host, and what they refuse."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from pyinfra.context import ctx_host

from citadelle import certificates
from citadelle.settings import DeployError
from citadelle.shipping import forms
from roles.logs.settings import LogsSettings
from roles.observability import shipping


@pytest.fixture(autouse=True)
def host() -> Iterator[None]:
    with ctx_host.use(SimpleNamespace(name="@linux/srv1")):
        yield


def test_the_configuration_is_judged_and_comes_last(tmp_path: Path) -> None:
    certificates.make(tmp_path, "srv1", ["srv1"], client=True)
    placed = shipping.shipped_files(LogsSettings(logs=True, logs_siem="siem:6514", logs_siem_folder=tmp_path), 30)
    assert (placed[-1].path, placed[-1].check) == ("/etc/citadelle/logs/rsyslog.conf", shipping.CHECK)
    assert [file.path for file in placed if file.check] == ["/etc/citadelle/logs/rsyslog.conf"]
    [key] = [file for file in placed if b"PRIVATE" in file.content and file.path.endswith(".pem")]
    assert (key.path, key.mode, key.owner) == ("/etc/citadelle/logs/key.pem", "400", "root:root")
    assert len({file.path for file in placed}) == len(placed)
    content = placed[-1].content.decode()
    programs = {word for word in content.replace('"', " ").split() if word.startswith("/usr/local/lib/")}
    assert programs == {file.path for file in placed if file.path.endswith(("/siem.py", "/stats.py"))}


def test_a_certificate_that_does_not_hold_is_told_before_any_change(tmp_path: Path) -> None:
    settings = LogsSettings(logs=True, logs_siem="siem:6514", logs_siem_folder=tmp_path)
    with pytest.raises(
        DeployError,
        match=r"^@linux/srv1: certificate for the SIEM does not hold: .*\nhint: citadelle certificates make",
    ):
        shipping.shipped_files(settings, 0)


def test_without_a_siem_nothing_of_one_is_there() -> None:
    placed = shipping.shipped_files(LogsSettings(logs=True, logs_loki=True), 0)
    assert not any(file.path.endswith(".pem") for file in placed)


def test_programs_run_alone_as_they_lie_on_a_host(tmp_path: Path) -> None:
    """By the python of a host, from the folder that the role makes: no module of a checkout is there."""
    for file in shipping.shipped_files(LogsSettings(logs=True, logs_loki=True), 0):
        if file.path.startswith("/usr/local/lib/citadelle/"):
            path = tmp_path / file.path.removeprefix("/usr/local/lib/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.content)
    for name in ("siem", "loki"):
        arguments = ["ecs", "srv1", "127.0.0.1", "9", "x", "/x"] if name == "siem" else ["http://127.0.0.1:9/x", "srv1"]
        command = [sys.executable, "-I", "-B", str(tmp_path / f"citadelle/shipping/{name}.py"), *arguments]
        said = subprocess.run(
            command, input=b"BEGIN TRANSACTION\n", capture_output=True, check=True, timeout=20, cwd="/"
        )
        assert (said.stdout, said.stderr) == (b"OK\nOK\n", b"")
    assert Path(forms.__file__).read_bytes() == (tmp_path / "citadelle/shipping/forms.py").read_bytes()
