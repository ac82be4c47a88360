"""What an index digest is worth on a host: a genuine registry, an index of two platforms, save, load, and a Docker that never pulls."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from citadelle import images
from citadelle.cli.images import run
from citadelle.release import read_env
from tests.cli.conftest import Command, command  # noqa: F401
from tests.lab import builds, state
from tests.lab.commands import LABEL, PREFIX, address
from tests.lab.pcs import exec_in_pc, remove_pc, start_pc

pytestmark = pytest.mark.lab
NAME, PC, ADDRESS = f"{PREFIX}-registry", "images", address(80)
INDEX = "application/vnd.oci.image.index.v1+json"
INSTALL = """
mkdir -p /etc/docker && echo '{"features": {"containerd-snapshotter": true}}' > /etc/docker/daemon.json
DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends docker.io docker-cli >&2
docker info --format '{{.DriverStatus}}'
"""


@dataclass(frozen=True)
class Pushed:
    """An image in the registry: `name:tag`, the digest of its index, and that of its part for the hosts' platform."""

    tag: str
    index: str
    part: str

    @property
    def pin(self) -> str:
        return f"{self.tag}@{self.index}"


@pytest.fixture(scope="module")
def registry() -> Iterator[str]:
    """`127.0.0.1:PORT` of a registry of its own; goes away with all that was pushed."""
    image = images.build(
        images.Build("citadelle-lab/registry", state.CODE / "registry", labels=dict([LABEL.split("=")])), run
    )
    images.answer(["docker", "rm", "--force", NAME])
    run(["docker", "run", "--detach", "--name", NAME, "--label", LABEL, "--publish=127.0.0.1::5000", image])
    try:
        yield images.answer(["docker", "port", NAME, "5000/tcp"]).stdout.splitlines()[0]
    finally:
        run(["docker", "rm", "--force", "--volumes", NAME])


@pytest.fixture(scope="module")
def pushed(registry: str) -> Iterator[Pushed]:
    """An image for two platforms, with the attestations that Docker's own library has; only the registry has it afterwards."""
    tag = f"{registry}/two/engine:1"
    platforms = "--platform=linux/amd64,linux/arm64"
    run(["docker", "build", "--quiet", platforms, "--tag", tag, str(state.CODE / "registry/image")])
    run(["docker", "push", "--quiet", tag])
    run(["docker", "image", "rm", "--force", tag])
    request = urllib.request.Request(f"http://{registry}/v2/two/engine/manifests/1", headers={"Accept": INDEX})
    with urllib.request.urlopen(request) as response:
        manifests, digest = json.load(response)["manifests"], response.headers["Docker-Content-Digest"]
    parts = {one["platform"]["architecture"]: one["digest"] for one in manifests}
    assert {"amd64", "arm64"} < parts.keys()
    yield Pushed(tag, digest, parts["amd64"])
    for reference in (tag, f"{tag.rpartition(':')[0]}@{digest}"):
        images.answer(["docker", "image", "rm", "--force", reference])


@pytest.fixture(scope="module")
def offline() -> Iterator[str]:
    """A PC with Docker and an empty store, which reaches no registry of this machine's loopback."""
    try:
        start_pc(PC, "linux", ADDRESS)
        assert "io.containerd.snapshotter.v1" in in_pc("sh", "-c", INSTALL)
        yield PC
    finally:
        remove_pc(PC)


def in_pc(*argv: str, stdin: bytes = b"") -> str:
    done = exec_in_pc(PC, argv, stdin=stdin)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout.decode()


def starts(reference: str) -> bool:
    """Whether the PC's Docker runs it without asking anybody."""
    done = exec_in_pc(PC, ["docker", "run", "--rm", "--pull=never", "--network=none", reference, "it runs"])
    return done.stdout == b"it runs\n"


def test_the_pin_of_an_index_starts_on_a_host_that_reaches_no_registry(
    pushed: Pushed, offline: str, tmp_path: Path
) -> None:
    images.pull(pushed.pin, run)
    assert images.bundle({"ENGINE_IMAGE": pushed.pin}, tmp_path, run)
    locked = read_env((tmp_path / "images.lock.env").read_text())["ENGINE_IMAGE"]
    assert locked == pushed.pin
    in_pc("docker", "load", "--quiet", stdin=(tmp_path / "images.tar").read_bytes())
    assert in_pc("docker", "image", "inspect", "--format", "{{.Id}}", locked).strip() == pushed.index
    assert starts(locked)
    assert not starts(f"{pushed.tag}@{pushed.part}"), "the digest of the part names nothing on the host"
    in_pc("docker", "image", "rm", "--force", locked)


def test_without_a_tag_the_archive_has_no_name_for_it(pushed: Pushed, offline: str, tmp_path: Path) -> None:
    """Why `images.pull` gives the tag: the trap that it avoids is there."""
    images.pull(pushed.pin, run)
    archive = tmp_path / "images.tar"
    run(["docker", "save", "--output", str(archive), pushed.pin])
    assert images.manifest_digests(archive) == {}
    in_pc("docker", "load", "--quiet", stdin=archive.read_bytes())
    assert not starts(pushed.pin)
    in_pc("docker", "image", "rm", "--force", pushed.index)


def test_caddy_comes_out_of_an_image_that_has_it_and_runs_without_any_right(tmp_path: Path) -> None:
    """As `citadelle images build --tls` makes it, without network. The lab's own stands in for the official image: root's, like that."""
    (tmp_path / "Dockerfile").write_text(f"FROM {builds.tls().reference()}\nUSER 0\n")
    base, made = f"{PREFIX}/caddy:root", ""
    try:
        run(["docker", "build", "--quiet", "--network=none", "--tag", base, str(tmp_path)])
        made = images.build(images.tls(base, state.ROOT / "compose", PREFIX), run)
        confined = ["--network=none", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges"]
        said = images.answer(["docker", "run", "--rm", "--pull=never", *confined, made, "version"])
        assert (said.returncode, said.stdout[:2]) == (0, "2."), said
        assert (
            images.answer(["docker", "image", "inspect", "--format={{.Config.User}}", made]).stdout == "10004:10004\n"
        )
    finally:
        images.answer(["docker", "image", "rm", "--force", base, made])


def test_what_a_registry_says_becomes_a_refusal(
    pushed: Pushed,
    command: Command,  # noqa: F811
    tmp_path: Path,
) -> None:
    other = f"{pushed.tag}@sha256:{'0' * 64}"
    nobody = f"127.0.0.1:1/two/engine:1@{pushed.index}"
    for pin, what in (
        (other, f"registry has no image of this digest: {other}\n"),
        (nobody, "registry is unreachable: 127.0.0.1:1: "),
    ):
        pins = tmp_path / "pins.env"
        pins.write_text(f"OLLAMA_IMAGE={pin}\nPYTHON_IMAGE={pin}\n")
        said = command("images", "build", str(tmp_path / "out"), "--pins", str(pins))
        assert said.code == 1
        assert f"citadelle: {what}" in said.err
        assert not (tmp_path / "out").exists()


def test_the_lock_is_what_the_registry_serves(
    pushed: Pushed,
    command: Command,  # noqa: F811
    tmp_path: Path,
) -> None:
    pins = tmp_path / "pins.env"
    pins.write_text("# Pins.\n")
    assert command("images", "lock", f"TWO_IMAGE={pushed.tag}", "--pins", str(pins)).code == 0
    assert read_env(pins.read_text()) == {"TWO_IMAGE": pushed.pin}
    assert command("images", "lock", "--pins", str(pins)).out == f"{pins}: no change\n"
    said = command("images", "check", "--pins", str(pins))
    assert (said.code, said.out) == (0, f"ok   TWO_IMAGE: {pushed.pin}\n")
    pins.write_text(
        f"TWO_IMAGE={pushed.tag}@sha256:{'0' * 64}\nPART_IMAGE={pushed.tag}@{pushed.part}\nNONE_IMAGE={pushed.tag}9\n"
    )
    said = command("images", "check", "--pins", str(pins))
    assert said.code == 1
    assert [line.split(": ")[1] for line in said.out.splitlines()] == [
        "its registry does not have it any more",
        "leads to an image of one platform instead of an index",
        "has no digest",
    ]
    before = pins.read_bytes()
    assert command("images", "lock", "--pins", str(pins)).err.startswith("citadelle: NONE_IMAGE: has no such tag: ")
    assert pins.read_bytes() == before


def test_an_archive_of_the_genuine_docker_is_its_lock_until_a_byte_differs(
    pushed: Pushed,
    command: Command,  # noqa: F811
    tmp_path: Path,
) -> None:
    images.pull(pushed.pin, run)
    images.bundle({"ENGINE_IMAGE": pushed.pin}, tmp_path, run)
    archive = tmp_path / "images.tar"
    assert command("images", "check", "--archive", str(archive)).code == 0
    content = bytearray(archive.read_bytes())
    at = content.index(b"/lib64/ld-linux") if b"/lib64/ld-linux" in content else len(content) // 2
    content[at] ^= 1
    archive.write_bytes(content)
    said = command("images", "check", "--archive", str(archive))
    assert said.code == 1
    assert "has other bytes than its name says: blobs/sha256/" in said.out
