"""The benchmark's definitions hold together. Nothing here is timed, and no PC is needed."""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.converge import report, tools
from benchmarks.converge.desired import desired
from benchmarks.converge.facets import facets
from benchmarks.converge.measure import Run
from benchmarks.converge.session import Round
from benchmarks.converge.wire import Wire
from citadelle.models.lock import ModelsLock
from tests.conftest import ROOT
from tests.models.conftest import lay

DIGEST = "sha256:" + "ab" * 32
SITE = yaml.safe_load((ROOT / "benchmarks/converge/ansible/site.yml").read_text())[0]


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """desired.json for a controller with a small store; its folder is `folder`."""
    folder = tmp_path_factory.mktemp("desired")
    (folder / "lock.json").write_bytes(ModelsLock(**lay(folder / "store")).canonical())
    (folder / "images.tar").write_bytes(b"")
    names = ("ENGINE_IMAGE", "GATEWAY_IMAGE", "RAG_IMAGE")
    (folder / "images.lock.env").write_text("".join(f"{name}=lab/{name.lower()}:1@{DIGEST}\n" for name in names))
    data = {
        "models_store": str(folder / "store"),
        "models_lock": str(folder / "lock.json"),
        "stack_images_lock": str(folder / "images.lock.env"),
        "stack_images_archive": str(folder / "images.tar"),
        "ssh_user": "somebody",
    }
    content = desired(data, folder)
    (folder / "desired.json").write_text(json.dumps(content))
    return content | {"folder": folder}


def pyinfra(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("pyinfra")), *arguments]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **env}, capture_output=True, text=True, check=False, timeout=60
    )


def test_files_for_the_other_tools_are_those_of_the_roles(wanted: dict[str, Any]) -> None:
    files = [wanted["daemon_config"], *wanted["files"], *wanted["stack_files"]]
    assert {file["path"] for file in files} >= {
        "/etc/docker/daemon.json",
        "/usr/local/lib/citadelle/verify.py",
        "/usr/local/lib/citadelle/stack",
        "/etc/systemd/system/citadelle-stack.service",
        "/etc/systemd/system/citadelle-models.service",
    }
    for file in files:
        assert hashlib.sha256(Path(file["src"]).read_bytes()).hexdigest() == file["sha256"]
    assert all(Path(file["src"]).is_file() for file in wanted["models"])
    assert wanted["release"]["id"] in wanted["probes"]["release"]


def test_every_shell_program_can_be_parsed(wanted: dict[str, Any]) -> None:
    broken = [program for facet in facets(wanted) for program in (facet.disturb, facet.probe)]
    for program in [Path(wanted["look"]).read_text(), *wanted["probes"].values(), *wanted["repairs"].values(), *broken]:
        done = subprocess.run(["sh", "-n"], input=program, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{program}: {done.stderr}"


@pytest.mark.lab
def test_stock_deploy_plans_each_claim(wanted: dict[str, Any]) -> None:
    env = {"CITADELLE_BENCH_DESIRED": str(wanted["folder"] / "desired.json")}
    # An empty Linux host: all other questions stay without an answer.
    data = {
        "fake_delay": 0,
        "fake_delay_jitter": 0,
        "fake_responses": {"uname -s": "Linux", "useradd": "/usr/sbin/useradd"},
    }
    inventory = wanted["folder"] / "inventory.py"
    inventory.write_text(f"pcs = [('@fake/pc', {data!r})]\n")
    done = pyinfra("--dry", "--json", str(inventory), "benchmarks/converge/stock/deploy.py", **env)
    assert done.returncode == 0, done.stderr
    names = {operation["name"] for operation in json.loads(done.stdout)["plan"]}
    claims = [f"Account {name}" for name in wanted["accounts"]]
    claims += [f"File {file['path']}" for file in (*wanted["files"], *wanted["stack_files"])]
    claims += [f"Model file {Path(file['path']).name}" for file in wanted["models"]]
    claims += ["Docker's configuration", "Docker's packages", "Docker runs", "Images", "Operator's key", "Release runs"]
    assert set(claims) <= names


def test_playbook_names_only_what_it_is_given(wanted: dict[str, Any]) -> None:
    text = json.dumps(SITE)
    registered = set(re.findall(r'"register": "(\w+)"', text))
    used = set(re.findall(r"\{\{ (?:lookup\(\S+ |\()?(\w+)", text))
    assert used <= {"item", *wanted, *registered}
    assert {"accounts", "files", "models", "packages", "probes", "repairs"} <= used
    assert registered <= set(re.findall(r"\w+", " ".join(re.findall(r'"(?:when|changed_when)": "([^"]*)"', text))))


@pytest.mark.lab
def test_results_of_pyinfra_are_read(tmp_path: Path) -> None:
    deploy = tmp_path / "deploy.py"
    deploy.write_text(
        "from pyinfra.operations import files, server\n"
        f"files.file(name='a', path='{tmp_path}/a')\n"
        f"files.file(name='b', path='{deploy}')\n"
        "server.shell(name='c', commands='false', _ignore_errors=True)\n"
    )
    done = pyinfra("-y", "--json", "@local", str(deploy))
    tool = tools.Pyinfra("stock pyinfra", "@ssh", deploy, tmp_path, {})
    said = tool.said(run(out=done.stdout, code=done.returncode))
    assert (said.checks, said.changed, said.failed) == ({"@local": 3}, {"@local": 1}, {"@local": 1})
    assert said.what == ["@local: a"]


def test_recap_of_ansible_is_read() -> None:
    # As ansible-core 2.19 prints it.
    recap = (
        "\nTASK [Docker runs] *************************************************************\n"
        "ok: [copy2]\nchanged: [copy1]\n"
        "\nTASK [Files] *******************************************************************\n"
        "changed: [copy1] => (item={'path': '/etc/a'})\nok: [copy2] => (item={'path': '/etc/a'})\n"
        "\nPLAY RECAP *********************************************************************\n"
        "copy1                      : ok=14   changed=2    unreachable=0    failed=0    skipped=6    rescued=0    ignored=0   \n"
        "copy2                      : ok=0    changed=0    unreachable=1    failed=0    skipped=0    rescued=0    ignored=0   \n"
    )
    said = tools.Ansible(Path("desired.json")).said(run(out=recap))
    assert said.checks == {"copy1": 20, "copy2": 0}
    assert said.changed == {"copy1": 2, "copy2": 0}
    assert said.failed == {"copy1": 0, "copy2": 1}
    assert said.what == ["copy1: Docker runs", "copy1: Files"]


def run(wall: float = 1.0, out: str = "", code: int = 0) -> Run:
    return Run(wall, 0.5, 0.5, 0.0, 70.0, code, out, "")


def packet(source: str, target: str, ports: tuple[int, int], data: bytes) -> bytes:
    """IPv4 (RFC 791) and TCP (RFC 9293) headers without options."""
    tcp = struct.pack("!HHIIBBHHH", *ports, 0, 0, 5 << 4, 0, 0, 0, 0) + data
    addresses = socket.inet_aton(source) + socket.inet_aton(target)
    return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0) + addresses + tcp


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a packet socket")
def test_a_round_trip_is_an_answer_after_something_sent() -> None:
    pc, here = "10.213.0.101", "10.213.0.1"
    ask = packet(here, pc, (50000, 22), b"x")
    answer = packet(pc, here, (22, 50000), b"y")
    acknowledgement = packet(pc, here, (22, 50000), b"")
    elsewhere = packet(pc, here, (443, 50000), b"y")
    with Wire("lo") as wire:
        for seen in (answer, ask, acknowledgement, elsewhere, ask, answer, answer, ask, answer):
            wire.see(seen)
    assert wire.turns == {pc: 2}


def test_ratio_is_taken_within_a_repetition() -> None:
    walls = [
        ("citadelle", 2.0),
        ("ansible", 30.0),
        ("citadelle", 4.0),
        ("ansible", 40.0),
        ("citadelle", 1.0),
        ("ansible", 9.0),
    ]
    said = tools.Said({"copy1": 13}, {"copy1": 0}, {"copy1": 0})
    timed = [Round("2 copies", tool, run(wall), said, {}, {"10.0.0.1": 20}) for tool, wall in walls]
    ours, theirs = report.rows(timed[:2], timed)
    assert ours.ratio is None
    assert theirs.ratio == report.Spread(10.0, 9.0, 15.0)
    missed = [what for what, _, met in report.goals([ours, theirs], {"pc1": 4}) if not met]
    assert missed == ["PowerShell starts on pc1"]
