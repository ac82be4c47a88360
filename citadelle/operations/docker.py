"""Docker Engine installed, images in the store."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Literal

from pyinfra import host
from pyinfra.api import FileUploadCommand, QuoteString, StringCommand, operation
from pyinfra.api.command import PyinfraCommand
from pyinfra.facts.server import LinuxDistribution

from citadelle.facts.docker import DockerDaemon, ImagesPresent, PackagesInstalled
from citadelle.operations.refusal import attempt, refusal

# Accepts a new daemon.json ($1); before the Engine is there, nothing can judge it and the first start will.
VALIDATE = '{ ! command -v dockerd >/dev/null || dockerd --validate --config-file "$1"; }'

# python3 runs the model verifier before the Engine starts.
Source = Literal["docker", "distribution"]
PACKAGES = {
    "distribution": ["docker.io", "docker-cli", "docker-compose", "iptables", "python3"],
    "docker": ["docker-ce", "docker-ce-cli", "containerd.io", "docker-compose-plugin", "python3"],
}
# Fingerprint as published on docs.docker.com/engine/install/debian; apt refuses a package that this key has not signed.
KEY_FINGERPRINT = "9DC858229FC7DD38854AE2D88D81803C0EBFCD88"
QUIET = "export LC_ALL=C DEBIAN_FRONTEND=noninteractive;"
APT = "apt-get -qq -o DPkg::Lock::Timeout=300"
STAGING = "/var/lib/citadelle/staging"


@operation()
def engine(source: Source) -> Generator[PyinfraCommand, None, None]:
    """Have Docker Engine and its Compose plugin installed, answering now, and started at every boot.

    + source: `docker` is Docker's own Debian or Ubuntu repository, `distribution` the one the host already uses.
    """
    state = host.get_fact(DockerDaemon)
    steps = [*_packages(source), *([] if state.server and state.enabled else [_start()])]
    if not steps:
        host.noop(f"Docker Engine {state.server} is installed, answers and starts at boot")
    yield from steps


def _packages(source: Source) -> Generator[PyinfraCommand, None, None]:
    packages = PACKAGES[source]
    present = host.get_fact(PackagesInstalled, packages=packages)
    missing = [package for package in packages if package not in present]
    if not missing:
        return
    if source == "docker":
        yield from _repository()
    # A run that was cut off leaves packages half set up, or an apt of its own that still ends by itself.
    yield attempt(
        StringCommand(QUIET, APT, "update && dpkg --configure -a"),
        "package lists cannot be read: apt-get update",
        "look at /etc/apt/sources.list and its network, the lines above",
    )
    yield attempt(
        StringCommand(QUIET, APT, "install --yes --no-install-recommends", *map(QuoteString, missing)),
        f"packages cannot be installed: {' '.join(missing)}",
        f"apt-get install {' '.join(missing)}, and set docker_source to where they come from",
    )


def _repository() -> Generator[PyinfraCommand, None, None]:
    distribution = host.get_fact(LinuxDistribution)["release_meta"]
    base = f"https://download.docker.com/linux/{distribution['ID']}"
    key = "/etc/apt/keyrings/docker.asc"
    yield StringCommand(QUIET, APT, "update &&", APT, "install --yes ca-certificates curl gnupg")
    yield StringCommand("mkdir -p /etc/apt/keyrings && curl -fsSL --proto =https", f"{base}/gpg", "-o", f"{key}.new")
    yield StringCommand(
        f"gpg --show-keys --with-colons {key}.new | grep -q ':{KEY_FINGERPRINT}:'",
        f"|| {{ rm -f {key}.new; echo 'Docker repository key has another fingerprint than {KEY_FINGERPRINT}' >&2; exit 1; }}",
    )
    line = f"deb [signed-by={key}] {base} {distribution['VERSION_CODENAME']} stable"
    yield StringCommand(f"mv {key}.new {key} && echo", QuoteString(line), "> /etc/apt/sources.list.d/docker.list")


def _start() -> PyinfraCommand:
    return attempt(
        "systemctl enable --quiet --now docker && docker info >/dev/null 2>&1",
        "Docker daemon does not answer: docker.service",
        "systemctl status docker; journalctl -u docker -n 50",
    )


@operation()
def images(
    references: list[str] | Callable[[], list[str]], archive: str | None = None
) -> Generator[PyinfraCommand, None, None]:
    """Have each image in the host's store, by digest.

    + references: `name:tag@sha256:digest` each; or what gives them when the host's turn comes.
    + archive: path on the controller of a `docker save` archive that holds them; without it they are pulled from their registry.
    """
    references = references() if callable(references) else references
    missing = sorted(set(references) - host.get_fact(ImagesPresent, references=references))
    if not missing:
        host.noop(f"{len(references)} images are in the store")
        return
    if archive is None:
        for reference in missing:
            yield attempt(
                StringCommand("docker pull --quiet", QuoteString(reference)),
                f"image cannot be pulled: {reference}",
                "is its registry reachable from the host? without one: stack_images_archive",
            )
        return
    if not Path(archive).is_file():
        yield refusal(
            f"image archive is absent on this controller: {archive}",
            "citadelle images build DIR, then set stack_images_archive as it prints",
        )
        return
    yield from _load(archive, missing)


def _load(archive: str, references: list[str]) -> Generator[PyinfraCommand, None, None]:
    staged = f"{STAGING}/images.tar"
    size = Path(archive).stat().st_size
    yield enough_space(STAGING, size)
    yield FileUploadCommand(archive, staged)
    yield attempt(
        f"docker load --quiet --input {staged}; code=$?; rm -f {staged}; (exit $code)",
        f"image archive cannot be loaded: {archive}",
        "df -h /var/lib/docker /var/lib/containerd; journalctl -u docker -n 50",
    )
    # `docker load` reports success for an image that it could not unpack: only asking by digest tells.
    for reference in references:
        missing = f"image is not in the archive by this digest: {reference}"
        yield StringCommand(
            *("docker image inspect --format ok", QuoteString(reference), ">/dev/null"),
            *("|| { echo", QuoteString(missing), ">&2; exit 1; }"),
        )


def enough_space(folder: str, size: int) -> StringCommand:
    """Command that makes `folder` (root only) and fails unless its disk has `size` bytes and a tenth more free."""
    needed = size + size // 10
    return StringCommand(
        f"install -d -m 700 {folder} && free=$(df --output=avail -B1 {folder} | tail -n 1) && test $free -ge {needed}",
        f"|| {{ echo 'disk is too full for an upload to {folder}: '${{free}} bytes free, {needed} needed >&2;",
        f"echo 'hint: make room on the disk of {folder}, then run again' >&2; exit 1; }}",
    )
