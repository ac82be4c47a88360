"""`citadelle images build`: Docker and pip are played here."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from citadelle import images
from citadelle.cli import images as cli
from citadelle.release import read_env
from roles.stack.settings import StackSettings
from roles.stack.watching import SHOWING, WATCHING
from tests.cli.conftest import Command
from tests.conftest import ROOT
from tests.images import archive

PINS = read_env((ROOT / cli.PINS).read_text())
FIT = {
    "ServerVersion": "28.5.2",
    "Driver": "overlayfs",
    "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]],
    "ClientInfo": {"Plugins": [{"Name": "buildx"}, {"Name": "compose"}]},
}


@dataclass
class Machine:
    """A stand-in for Docker and pip: `store` holds images by `name:tag`; `failing`: first words of a command -> what it says."""

    pins: dict[str, str]
    info: dict[str, Any] = field(default_factory=lambda: dict(FIT))
    store: set[str] = field(default_factory=set)
    failing: dict[str, str] = field(default_factory=dict)
    ran: list[list[str]] = field(default_factory=list)

    def answer(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        line = " ".join(command)
        if line.startswith("docker info"):
            return subprocess.CompletedProcess(command, int("ServerErrors" in self.info), json.dumps(self.info), "")
        if line.startswith("docker image inspect"):
            there = command[-1] in self.store
            return subprocess.CompletedProcess(command, int(not there), f"id of {command[-1]}\n" if there else "", "")
        assert line.startswith("docker run "), line
        return subprocess.CompletedProcess(command, 0, "3.14\n", "")

    def run(self, command: Sequence[str]) -> None:
        self.ran.append(list(command))
        words = command[1:3] if command[0] == "docker" else command[2:4]
        for start, said in self.failing.items():
            if " ".join(words).startswith(start):
                raise subprocess.CalledProcessError(1, list(command), "", said)
        if words[0] == "tag":
            self.store.add(command[-1])
        elif words[0] == "build":
            self.store.add(command[command.index("--tag") + 1])
        elif words[0] == "save":
            self._save(Path(command[command.index("--output") + 1]), command[4:])
        elif words[0] == "pip":
            (Path(command[command.index("--dest") + 1]) / "some.whl").write_text("")

    def _save(self, path: Path, names: Sequence[str]) -> None:
        if absent := set(names) - self.store:
            raise subprocess.CalledProcessError(1, "docker save", "", f"No such image: {absent}")
        files: dict[str, bytes] = {}
        archive.write(path, files, {name: archive.manifest(files, name) for name in names})


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """In the checkout, the programs played; the pins' digests are those that the stand-in saves."""
    pins = {}
    for name, reference in PINS.items():
        tagged = images.tagged(reference)
        pins[name] = f"{reference.partition('@')[0]}@{archive.manifest({}, tagged)['digest']}"
    played = Machine(pins)
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(images, "answer", played.answer)
    monkeypatch.setattr(cli, "run", played.run)
    return played


@pytest.fixture
def words(machine: Machine, tmp_path: Path) -> list[str]:
    """The command line, up to options."""
    pins = tmp_path / "pins.env"
    pins.write_text("".join(f"{name}={reference}\n" for name, reference in machine.pins.items()))
    return ["images", "build", str(tmp_path / "out"), "--pins", str(pins)]


def test_the_archive_its_lock_and_what_to_set(
    command: Command, machine: Machine, words: list[str], tmp_path: Path
) -> None:
    said = command(*words)
    assert said.code == 0, said.err
    out = tmp_path / "out"
    assert said.out == f'stack_images_archive = "{out}/images.tar"\nstack_images_lock = "{out}/images.lock.env"\n'
    given: dict[str, Any] = {}
    exec(said.out, given)
    settings = StackSettings(**{key: value for key, value in given.items() if key.startswith("stack_")})
    locked = read_env(settings.stack_images_lock.read_text())
    assert locked["ENGINE_IMAGE"] == machine.pins["OLLAMA_IMAGE"].removeprefix("docker.io/")
    assert [name.partition(":")[0] for name in locked.values()] == [
        "ollama/ollama",
        "citadelle/gateway",
        "citadelle/rag",
    ]
    assert all("@sha256:" in reference for reference in locked.values())


def test_what_watches_and_what_shows_comes_as_it_is_pinned(
    command: Command, machine: Machine, words: list[str], tmp_path: Path
) -> None:
    assert command(*words, "--observability", "--grafana").code == 0
    locked = read_env((tmp_path / "out/images.lock.env").read_text())
    names = (*WATCHING, *SHOWING)
    assert {name: locked.get(name) for name in names} == {
        name: machine.pins[name].removeprefix("docker.io/") for name in names
    }


def test_caddy_is_built_from_its_pin_without_network_when_tls_is_wanted(
    command: Command, machine: Machine, words: list[str], tmp_path: Path
) -> None:
    assert command(*words, "--tls").code == 0
    [built] = [line for line in machine.ran if line[-1] == "compose/tls"]
    assert {f"--build-arg=CADDY_IMAGE={machine.pins['CADDY_IMAGE']}", "--network=none"} <= set(built)
    assert not [word for word in built if "DEBIAN_PACKAGE" in word]
    assert machine.pins["CADDY_IMAGE"] in [line[-1] for line in machine.ran if line[1] == "pull"]
    locked = read_env((tmp_path / "out/images.lock.env").read_text())
    assert locked["TLS_IMAGE"].startswith(f"{built[built.index('--tag') + 1]}@sha256:")
    machine.ran.clear()
    assert command(*words).code == 0
    assert machine.pins["CADDY_IMAGE"] not in [line[-1] for line in machine.ran]
    assert "TLS_IMAGE" not in read_env((tmp_path / "out/images.lock.env").read_text())


def test_bases_by_digest_for_the_hosts_platform_and_builds_without_network(
    command: Command, machine: Machine, words: list[str]
) -> None:
    assert command(*words).code == 0
    pulled = [line for line in machine.ran if line[1] == "pull"]
    assert [line[-1] for line in pulled] == [machine.pins["OLLAMA_IMAGE"], machine.pins["PYTHON_IMAGE"]]
    built = [line for line in machine.ran if line[1] == "build"]
    assert [line[-1] for line in built] == ["compose/gateway", "compose/rag"]
    assert all("--platform=linux/amd64" in line for line in pulled + built)
    assert all(f"--build-arg=PYTHON_IMAGE={machine.pins['PYTHON_IMAGE']}" in line for line in built)
    assert all("--network=none" in line for line in built)
    wheels = [line for line in machine.ran if line[1:3] == ["-m", "pip"]]
    assert len(wheels) == 2
    assert all({"--require-hashes", "--python-version=3.14"} <= set(line) for line in wheels)


def test_a_second_run_saves_nothing(command: Command, machine: Machine, words: list[str], tmp_path: Path) -> None:
    first = command(*words)
    lock = (tmp_path / "out/images.lock.env").read_bytes()
    machine.ran.clear()
    assert command(*words) == first
    assert {line[1] for line in machine.ran} == {"pull", "tag"}
    assert (tmp_path / "out/images.lock.env").read_bytes() == lock


def test_llamacpp_is_built_and_its_setting_printed(
    command: Command, machine: Machine, words: list[str], tmp_path: Path
) -> None:
    said = command(*words, "--engine", "llamacpp")
    assert said.code == 0, said.err
    assert said.out.endswith('stack_engine = "llamacpp"\n')
    assert (tmp_path / "out/images.lock.env").read_text().startswith("ENGINE_IMAGE=citadelle/llamacpp:")
    built = next(line for line in machine.ran if line[-1] == "compose/engine/llamacpp")
    assert f"--build-arg=DEBIAN_IMAGE={machine.pins['DEBIAN_IMAGE']}" in built
    assert "--build-arg=DEBIAN_SUITE=forky" in built
    assert machine.pins["OLLAMA_IMAGE"] not in [word for line in machine.ran for word in line]


def test_an_engine_for_accelerators_comes_beside_the_usual_one(
    command: Command, machine: Machine, words: list[str], tmp_path: Path
) -> None:
    assert command(*words, "--with", "rocm").code == 0
    locked = read_env((tmp_path / "out/images.lock.env").read_text())
    assert locked["ENGINE_ROCM_IMAGE"] == machine.pins["OLLAMA_ROCM_IMAGE"].removeprefix("docker.io/")
    assert locked["ENGINE_IMAGE"] == machine.pins["OLLAMA_IMAGE"].removeprefix("docker.io/")
    settings = StackSettings(stack_images_lock=tmp_path / "out/images.lock.env")
    assert "ENGINE_ROCM_IMAGE" in settings.locked_images()


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("openvino", "pins give no digest: LLAMACPP_OPENVINO_IMAGE= in {pins}\nhint: citadelle images lock {tag}\n"),
        (
            "xdna",
            "pins give no digest: LLAMACPP_XDNA_IMAGE= in {pins}\nhint: citadelle images lock LLAMACPP_XDNA_IMAGE=image:tag\n",
        ),
        ("cuda", "no such engine: cuda\nhint: --with rocm or --with openvino or --with xdna"),
    ],
)
def test_an_engine_without_a_pin_is_wrong_use(
    command: Command, machine: Machine, words: list[str], word: str, said: str
) -> None:
    """That of OpenVINO is left open in the real file: no digest of it is known. For XDNA 2 nobody publishes one."""
    (tag,) = re.findall(r"(?m)^#(LLAMACPP_OPENVINO_IMAGE=\S+)$", (ROOT / "compose/images.lock.env").read_text())
    pins = Path(words[-1])
    pins.write_text(f"{pins.read_text()}\n#{tag}\n")
    done = command(*words, "--with", word)
    assert (done.code, machine.ran) == (2, [])
    assert done.err.startswith(said.format(pins=pins, tag=tag))


CLASSIC = {"Driver": "overlay2", "DriverStatus": [["Backing Filesystem", "extfs"]]}


@pytest.mark.parametrize(
    ("info", "what"),
    [
        ({"ServerVersion": "", "ServerErrors": ["Cannot connect"]}, "Docker daemon does not answer: Cannot connect\n"),
        (CLASSIC, "Docker does not use the containerd image store, which keeps digests: overlay2\n"),
        ({"ClientInfo": {"Plugins": [{"Name": "compose"}]}}, "Docker client has no buildx: compose\n"),
        ({"ClientInfo": {"Plugins": None}} | CLASSIC, "Docker client has no buildx: no plugin\n"),
    ],
    ids=["down", "classic store", "no buildx", "both"],
)
def test_a_docker_that_will_not_do(
    command: Command, machine: Machine, words: list[str], info: dict[str, Any], what: str
) -> None:
    machine.info |= info
    said = command(*words)
    assert (said.code, said.out, machine.ran) == (1, "", [])
    assert f"citadelle: {what}hint: " in said.err
    assert said.err.count("citadelle: ") == 1 + (len(info) == 3)


def test_no_docker(command: Command, machine: Machine, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(_: Sequence[str]) -> None:
        raise FileNotFoundError("docker")

    monkeypatch.setattr(images, "answer", absent)
    said = command(*words)
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("citadelle: program is absent: docker\nhint: install Docker Engine")


DAEMON = "Error response from daemon: "


@pytest.mark.parametrize(
    ("start", "said", "what"),
    [
        ("pull", f"{DAEMON}failed to do request: Head: dial tcp: lookup docker.io: no such host", "registry is unreachable: docker.io: "),
        ("pull", f"{DAEMON}failed to resolve: x@sha256:1: not found", "registry has no image of this digest: docker.io/ollama"),
        ("pull", f"{DAEMON}no matching manifest for linux/amd64: not found", "image is not for linux/amd64: docker.io/"),
        ("pull", f"{DAEMON}toomanyrequests: limit", "image cannot be pulled: docker.io/ollama/ollama:0.35.1@sha256:"),
        ("pip", "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES", "command failed with exit code 1: "),
        ("build", "failed to solve", "command failed with exit code 1: docker build "),
        ("save", "no space left on device", "command failed with exit code 1: docker save "),
    ],
    ids=["unreachable", "digest", "foreign", "other", "wheels", "build", "save"],
)  # fmt: skip
def test_what_fails_is_said_with_its_own_words(
    command: Command, machine: Machine, words: list[str], tmp_path: Path, start: str, said: str, what: str
) -> None:
    machine.failing[start] = said
    done = command(*words)
    assert (done.code, done.out) == (1, "")
    assert f"citadelle: {what}" in done.err
    assert "\nhint: " in done.err
    assert start == "pull" or said in done.err
    assert not (tmp_path / "out/images.lock.env").exists()


def test_an_image_that_is_not_its_pin_leaves_the_former_archive(
    command: Command, machine: Machine, words: list[str], tmp_path: Path
) -> None:
    assert command(*words).code == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir() if path.is_file()}
    pins = tmp_path / "pins.env"
    pins.write_text(pins.read_text().replace(machine.pins["OLLAMA_IMAGE"], PINS["OLLAMA_IMAGE"]))
    (tmp_path / "out/images.stamp.json").write_text("of other images")
    said = command(*words)
    assert said.code == 1
    assert "citadelle: image has another digest than its pin: ollama/ollama:0.35.1@sha256:" in said.err
    after = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir() if path.is_file()}
    assert after == before | {"images.stamp.json": b"of other images"}


@pytest.mark.parametrize("pin", ["", "python:3.14", "python@sha256:" + "a" * 64, "python:3.14@sha256:" + "a" * 63])
def test_a_pin_without_tag_or_digest_is_wrong_use(command: Command, machine: Machine, tmp_path: Path, pin: str) -> None:
    (tmp_path / "pins.env").write_text(f"OLLAMA_IMAGE={machine.pins['OLLAMA_IMAGE']}\nPYTHON_IMAGE={pin}\n")
    said = command("images", "build", str(tmp_path / "out"), "--pins", str(tmp_path / "pins.env"))
    assert (said.code, said.out, machine.ran) == (2, "", [])
    assert said.err.startswith(
        f"pins give no digest: PYTHON_IMAGE={pin} in {tmp_path}/pins.env\nhint: citadelle images lock PYTHON_IMAGE=image:tag\n"
    )


def test_outside_of_the_checkout(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = command("images", "build", "out")
    assert (said.code, said.out) == (2, "")
    assert said.err == "folder of the stack is absent: compose\nhint: run in the checkout\n"


def test_absent_pins(command: Command, machine: Machine, tmp_path: Path) -> None:
    said = command("images", "build", str(tmp_path / "out"), "--pins", str(tmp_path / "none"))
    assert (said.code, said.out, machine.ran) == (2, "", [])
    assert said.err.startswith(
        f"pins of images are absent: {tmp_path}/none\nhint: give --pins, or git checkout -- compose/"
    )
