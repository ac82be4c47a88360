"""Images of the stack as one archive: wheels by hashed lock, builds without a registry, the digests that a host will see."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Run = Callable[[Sequence[str]], None]
"""Runs a command to its end and raises where it fails."""

NAME = "io.containerd.image.name"  # annotation that `docker save` puts on each entry of index.json
MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
PLATFORM = "linux/amd64"  # of every host
WHEELS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")


@dataclass(frozen=True)
class Build:
    """One `docker build`: `context` holds the Dockerfile, `contexts` are named ones, `secrets` files by id, `inputs` further
    text that decides what comes out (such as the recipe of the base image)."""

    name: str
    context: Path
    args: Mapping[str, str] = field(default_factory=dict)
    contexts: Mapping[str, Path] = field(default_factory=dict)
    secrets: Mapping[str, Path] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    inputs: Sequence[str] = ()
    network: bool = True

    def reference(self) -> str:
        """`name:tag`, the tag being a digest of all that goes in, secrets excepted: equal input is never built twice."""
        digest = hashlib.sha256()
        for key, value in sorted(self.args.items()):
            digest.update(f"{key}={value}\0".encode())
        for text in self.inputs:
            digest.update(f"{text}\0".encode())
        for folder in (self.context, *self.contexts.values()):
            digest.update(tree_digest(folder).encode())
        return f"{self.name}:{digest.hexdigest()[:12]}"


def service(name: str, python: str, compose: Path, wheels: Path, prefix: str = "citadelle") -> Build:
    """The image of `gateway` or `rag`: its folder of `compose` on the image `python`, its wheels from `wheels/NAME`."""
    contexts = {"wheels": wheels / name}
    return Build(f"{prefix}/{name}", compose / name, {"PYTHON_IMAGE": python}, contexts, network=False)


def engine(kind: str, debian: str, compose: Path, prefix: str = "citadelle", suite: str = "") -> Build:
    """The image of an engine that is built here, on the image `debian`; that is brought to the release `suite` first, if given."""
    args = {"DEBIAN_IMAGE": debian} | ({"DEBIAN_SUITE": suite} if suite else {})
    return Build(f"{prefix}/{kind}", compose / "engine" / kind, args)


def tls(caddy: str, compose: Path, prefix: str = "citadelle", package: str = "") -> Build:
    """Caddy without its file capability, on the image `caddy`; that gets Debian's package first, if one is named."""
    args = {"CADDY_IMAGE": caddy} | ({"DEBIAN_PACKAGE": package} if package else {})
    return Build(f"{prefix}/tls", compose / "tls", args, network=bool(package))


def tree_digest(folder: Path) -> str:
    """sha256 over paths, execute bits and contents of the files below `folder`; Python's caches do not count."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(folder)}\0{path.stat().st_mode & 0o111:o}\0{content}\0".encode())
    return digest.hexdigest()


def build(wanted: Build, run: Run) -> str:
    """Have the image in this machine's store; returns its reference. Builds nothing where it is there."""
    reference = wanted.reference()
    if image_id(reference) is None:
        run(build_command(wanted, reference))
    return reference


def build_command(wanted: Build, reference: str) -> list[str]:
    """The command line. Without attestations: they would turn the image into an index whose digest differs with every build."""
    command = ["docker", "build", "--progress", "plain", "--provenance=false", "--sbom=false"]
    command += [f"--platform={PLATFORM}", "--tag", reference]
    command += [f"--build-arg={key}={value}" for key, value in wanted.args.items()]
    command += [f"--build-context={key}={path}" for key, path in wanted.contexts.items()]
    command += [f"--secret=id={key},src={path}" for key, path in wanted.secrets.items()]
    command += [f"--label={key}={value}" for key, value in wanted.labels.items()]
    command += [] if wanted.network else ["--network=none"]
    return [*command, str(wanted.context)]


def image_id(reference: str) -> str | None:
    """`sha256:...` of a local image, None where it is absent."""
    done = answer(["docker", "image", "inspect", "--format", "{{.Id}}", reference])
    return done.stdout.strip() if done.returncode == 0 else None


def answer(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """What a short command says, whatever its exit code."""
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def pull(reference: str, run: Run) -> None:
    """Have `name:tag@digest` in this machine's store, for the hosts' platform, and give it its name and tag.

    `docker pull` of a digest leaves the image without a tag, and `docker save` of that leaves it without any name: a host that
    loads it finds it under no reference at all. With a tag, the digest of the whole index goes through save and load, although the
    archive has one platform of it alone, and the host starts `name:tag@digest` offline (tests/lab/test_images.py).
    """
    run(["docker", "pull", "--quiet", f"--platform={PLATFORM}", reference])
    run(["docker", "tag", reference, tagged(reference)])


def tagged(reference: str) -> str:
    """`name:tag` of `name:tag@digest`, as Docker shows it: without the registry where that is Docker Hub."""
    return reference.partition("@")[0].removeprefix("docker.io/").removeprefix("library/")


def python_version(image: str) -> str:
    """`3.14` of an image with a `python3`. Raises `ValueError` where it has none."""
    command = ["docker", "run", "--rm", "--network=none", f"--platform={PLATFORM}", "--entrypoint=python3", image]
    done = answer([*command, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"])
    if done.returncode:
        raise ValueError(f"image has no python3 that runs: {image}: {done.stderr.strip()}")
    return done.stdout.strip()


def download_wheels(package: Path, target: Path, run: Run, *, python: str) -> None:
    """Download the wheels of a package's hashed locks for this Python (`3.14`) and x86-64 Linux into `target`, unless that was done.

    pip refuses a file whose hash no lock names. Needed because nothing reaches a network inside the builds.
    """
    locks, stamp = sorted(package.glob("requirements*.lock")), target / ".lock"
    wanted = f"{python} {hashlib.sha256(b''.join(lock.read_bytes() for lock in locks)).hexdigest()}\n"
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    target.mkdir(parents=True, exist_ok=True)
    for old in target.iterdir():
        old.unlink()
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--require-hashes", "--no-deps"]
    command += ["--only-binary=:all:", "--implementation=cp", f"--python-version={python}"]
    command += [f"--platform={platform}" for platform in WHEELS]
    run([*command, "--dest", str(target), *(f"--requirement={lock}" for lock in locks)])
    stamp.write_text(wanted)


def manifest_digests(archive: Path) -> dict[str, str]:
    """Digests by `name:tag` in a `docker save` archive, as a host with the containerd image store shows them after `docker load`.

    Raises `ValueError` for an archive without an OCI index (made by a Docker before 25: a host could not start its images by
    digest), and for an image of which it lacks content for the hosts' platform.
    """
    found = {}
    with tarfile.open(archive) as tar:
        blobs = _Blobs(tar, archive)
        for entry in blobs.read("index.json")["manifests"]:
            name = entry.get("annotations", {}).get(NAME)
            if name and entry["mediaType"] in MANIFESTS:
                blobs.check(name, entry)
                found[tagged(name)] = entry["digest"]
    return found


class _Blobs:
    """The files of an archive."""

    def __init__(self, tar: tarfile.TarFile, archive: Path) -> None:
        self.tar, self.archive, self.names = tar, archive, set(tar.getnames())
        if "index.json" not in self.names:
            raise ValueError(f"archive has no index.json, Docker 25 or newer writes one: {archive}")

    def read(self, name: str) -> Any:
        file = self.tar.extractfile(name) if name in self.names else None
        if file is None:
            raise ValueError(f"archive lacks a file: {name} in {self.archive}")
        return json.load(file)

    def check(self, name: str, entry: Mapping[str, Any]) -> None:
        """Whether all that a host needs to start the image is there: `docker save` leaves out what this machine's store lacks."""
        manifest = self.read(_path(entry))
        if "manifests" in manifest:
            fitting = [one for one in manifest["manifests"] if _platform(one) == PLATFORM]
            if not fitting:
                raise ValueError(f"image is not for {PLATFORM}: {name}")
            manifest = self.read(_path(fitting[0]))
        lacking = [
            part["digest"] for part in (manifest["config"], *manifest["layers"]) if _path(part) not in self.names
        ]
        if lacking:
            raise ValueError(f"archive lacks parts of {name}: {', '.join(lacking)}")


def _path(descriptor: Mapping[str, Any]) -> str:
    return f"blobs/{descriptor['digest'].replace(':', '/')}"


def _platform(descriptor: Mapping[str, Any]) -> str:
    platform = descriptor.get("platform", {})
    return f"{platform.get('os')}/{platform.get('architecture')}"


def bundle(images: Mapping[str, str], folder: Path, run: Run) -> bool:
    """Save the images (`{"ENGINE_IMAGE": "name:tag", ...}`) as `images.tar` with `images.lock.env` beside it; says whether it wrote.

    A reference may name the digest that it must have: `name:tag@digest`. The lock's values all do. Nothing is done while the archive
    and its stamp tell of the same images. Raises `ValueError`, the former archive untouched, where the new one is not what is wanted.
    """
    archive, lock, stamp = folder / "images.tar", folder / "images.lock.env", folder / "images.stamp.json"
    names = {reference: tagged(reference) for reference in images.values()}
    wanted = json.dumps({name: [reference, image_id(names[reference])] for name, reference in images.items()}, indent=1)
    if all(path.is_file() for path in (archive, lock, stamp)) and stamp.read_text() == wanted:
        return False
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / ".images.tar.fresh"
    try:
        run(["docker", "save", "--output", str(fresh), *dict.fromkeys(names.values())])
        text = lock_text(images, manifest_digests(fresh))
        stamp.unlink(missing_ok=True)
        fresh.replace(archive)
    finally:
        fresh.unlink(missing_ok=True)
    lock.write_text(text)
    stamp.write_text(wanted)
    return True


def lock_text(images: Mapping[str, str], digests: Mapping[str, str]) -> str:
    """Content of `images.lock.env`; raises `ValueError` naming the images that the archive lacks or has by another digest."""
    absent = sorted(set(map(tagged, images.values())) - set(digests))
    if absent:
        raise ValueError(f"archive lacks images: {', '.join(absent)}")
    locked = {name: f"{tagged(reference)}@{digests[tagged(reference)]}" for name, reference in images.items()}
    for name, reference in images.items():
        pinned = reference.partition("@")[2]
        if pinned and not locked[name].endswith(f"@{pinned}"):
            raise ValueError(f"image has another digest than its pin: {locked[name]}, pinned: {pinned}")
    return "".join(f"{name}={reference}\n" for name, reference in locked.items())
