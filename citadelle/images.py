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

Run = Callable[[Sequence[str]], None]
"""Runs a command to its end and raises where it fails."""

NAME = "io.containerd.image.name"  # annotation that `docker save` puts on each entry of index.json
MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")


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
    command = ["docker", "build", "--progress", "plain", "--provenance=false", "--sbom=false", "--tag", reference]
    command += [f"--build-arg={key}={value}" for key, value in wanted.args.items()]
    command += [f"--build-context={key}={path}" for key, path in wanted.contexts.items()]
    command += [f"--secret=id={key},src={path}" for key, path in wanted.secrets.items()]
    command += [f"--label={key}={value}" for key, value in wanted.labels.items()]
    command += [] if wanted.network else ["--network=none"]
    return [*command, str(wanted.context)]


def image_id(reference: str) -> str | None:
    """`sha256:...` of a local image, None where it is absent."""
    command = ["docker", "image", "inspect", "--format", "{{.Id}}", reference]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def download_wheels(lock: Path, target: Path, run: Run, *, python: str = "3.11") -> None:
    """Download the wheels of the hashed lock for this Python and x86-64 Linux into `target`; nothing is done where the lock is the same.

    pip refuses a file whose hash the lock does not name. Needed because nothing reaches a network inside the builds.
    """
    stamp = target / ".lock"
    wanted = f"{python} {hashlib.sha256(lock.read_bytes()).hexdigest()}\n"
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    target.mkdir(parents=True, exist_ok=True)
    for old in target.iterdir():
        old.unlink()
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--require-hashes", "--no-deps"]
    command += ["--only-binary=:all:", "--implementation=cp", f"--python-version={python}"]
    command += [f"--platform={platform}" for platform in PLATFORMS]
    run([*command, "--dest", str(target), "--requirement", str(lock)])
    stamp.write_text(wanted)


def manifest_digests(archive: Path) -> dict[str, str]:
    """Digests by `name:tag` in a `docker save` archive, as a host with the containerd image store shows them after `docker load`.

    Raises `ValueError` for an archive without an OCI index (made by a Docker before 25): a host could not start its images by digest.
    """
    with tarfile.open(archive) as tar:
        member = tar.extractfile("index.json") if "index.json" in tar.getnames() else None
        if member is None:
            raise ValueError(f"{archive}: archive has no index.json, Docker 25 or newer writes one")
        index = json.load(member)
    found = {}
    for entry in index["manifests"]:
        name = entry.get("annotations", {}).get(NAME)
        if name and entry["mediaType"] in MANIFESTS:
            found[name.removeprefix("docker.io/").removeprefix("library/")] = entry["digest"]
    return found


def bundle(images: Mapping[str, str], folder: Path, run: Run) -> bool:
    """Save the images (`{"ENGINE_IMAGE": "name:tag", ...}`) as `images.tar` with `images.lock.env` beside it; says whether it wrote.

    The lock's values are `name:tag@sha256:...`. Nothing is done while the archive and its stamp tell of the same images.
    """
    archive, lock, stamp = folder / "images.tar", folder / "images.lock.env", folder / "images.stamp.json"
    wanted = json.dumps({name: [reference, image_id(reference)] for name, reference in images.items()}, indent=1)
    if all(path.is_file() for path in (archive, lock, stamp)) and stamp.read_text() == wanted:
        return False
    folder.mkdir(parents=True, exist_ok=True)
    stamp.unlink(missing_ok=True)
    fresh = folder / ".images.tar.fresh"
    run(["docker", "save", "--output", str(fresh), *dict.fromkeys(images.values())])
    text = lock_text(images, manifest_digests(fresh))
    fresh.replace(archive)
    lock.write_text(text)
    stamp.write_text(wanted)
    return True


def lock_text(images: Mapping[str, str], digests: Mapping[str, str]) -> str:
    """Content of `images.lock.env`; raises `ValueError` naming the images that the archive lacks."""
    absent = sorted(set(images.values()) - set(digests))
    if absent:
        raise ValueError(f"archive lacks images: {', '.join(absent)}")
    return "".join(f"{name}={reference}@{digests[reference]}\n" for name, reference in images.items())
