"""NVIDIA's container toolkit on a lab PC, from a stand-in repository with keys of its own: genuine apt, gpg and curl judge it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pyinfra.api import StringCommand
from pyinfra.context import ctx_host, ctx_state
from pyinfra_testing.util import FakeState

from citadelle.accelerator.decision import Choice
from citadelle.accelerator.hardware import Device, Hardware
from citadelle.operations import accelerator
from citadelle.operations.accelerator import KEYRING, PREFERENCES, SOURCE, SPECIFICATION, Toolkit
from tests.lab import state
from tests.lab.commands import address
from tests.lab.pcs import exec_in_pc, remove_pc, start_pc
from tests.operations.cases import CaseHost

pytestmark = pytest.mark.lab
PC, ADDRESS = "toolkit", address(82)
PACKAGE, VERSION = "nvidia-container-toolkit-base", "1.20.0-1"
CARD = Device("gpu", "nvidia", "0000:01:00.0", "10de:2206", "nvidia")
TOOLS = "apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends gnupg openssl >&2"


@pytest.fixture(scope="module")
def pc() -> Iterator[None]:
    try:
        start_pc(PC, "linux", ADDRESS)
        assert sh(TOOLS).returncode == 0
        yield
    finally:
        remove_pc(PC)


def sh(script: str, *arguments: str):
    return exec_in_pc(PC, ["sh", "-c", script, "sh", *arguments], timeout=300)


def serve(how: str) -> str:
    """The stand-in repository; gives the fingerprint of the key that signs it."""
    done = exec_in_pc(PC, ["sh", "-s", how], stdin=(state.CODE / "toolkit_repository.sh").read_bytes(), timeout=300)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


def commands(fingerprint: str) -> list[str]:
    """What the operation runs on a host with a card and without the package."""
    fake = FakeState()
    host = CaseHost(fake, "@linux/toolkit", {}, {})
    hardware = Hardware(seen=True, kernel="Linux", memory=1 << 34, devices=(CARD,), nvidia="570.133.07")
    host.given = {"AcceleratorHardware": hardware, "PackagesInstalled": {}, "CdiDevices": {}}
    pin = Toolkit(PACKAGE, VERSION, "https://nvidia.test:8443", fingerprint)
    with ctx_state.use(fake), ctx_host.use(host):
        yielded = list(
            accelerator.container_toolkit._inner(Choice("nvidia", "ollama", frozenset({"ENGINE_IMAGE"})), pin)
        )
    assert all(isinstance(command, StringCommand) for command in yielded)
    return [command.get_raw_value() for command in yielded]


def run(fingerprint: str) -> tuple[int, str]:
    """How many of the commands went well, and what the first that did not said."""
    lines = commands(fingerprint)
    for count, line in enumerate(lines):
        done = sh(line)
        if done.returncode:
            return count, done.stderr.decode()
    return len(lines), ""


def untouched() -> bool:
    """Whether nothing of the repository is on the PC: neither its key, nor its source, nor a package."""
    return sh(f"ls {KEYRING} {KEYRING}.new {SOURCE} {PREFERENCES} /usr/bin/nvidia-ctk {SPECIFICATION}").stdout == b""


@pytest.mark.parametrize("how", ["foreign", "two"])
def test_a_key_that_is_not_the_pinned_one_is_refused_before_anything_of_it_is_used(pc: None, how: str) -> None:
    fingerprint = serve(how)
    done, said = run(fingerprint)
    assert done == 2  # curl and gpg are there, the key was fetched, and there it ended
    assert f"@linux/toolkit: key of the NVIDIA repository is not the pinned one: {fingerprint}\nhint: " in said
    assert untouched()


def test_a_repository_that_another_key_signed_gives_no_package(pc: None) -> None:
    """Its key file is the pinned one's, and yet somebody else made what it serves."""
    fingerprint = serve("right")
    sign = "GNUPGHOME=/root/toolkit-keys gpg --batch --yes --local-user other --clearsign --output InRelease Release"
    assert sh(f"cd /srv/toolkit/stable/deb/amd64 && {sign}").returncode == 0
    done, said = run(fingerprint)
    assert done == 4
    assert f"package cannot be installed: {PACKAGE} {VERSION}" in said
    assert sh("ls /usr/bin/nvidia-ctk").stdout == b""
    sh(f"rm -f {KEYRING} {SOURCE} {PREFERENCES}; rm -rf /var/lib/apt/lists/*nvidia*")


def test_the_pinned_version_of_the_one_package_is_installed_and_the_cards_described(pc: None) -> None:
    fingerprint = serve("right")
    assert run(fingerprint) == (len(commands(fingerprint)), "")
    shown = sh(f"dpkg-query -W -f '${{Version}}' {PACKAGE}; cat {SPECIFICATION}").stdout.decode()
    assert shown == f"{VERSION}stand-in, mode nvml\n"
    policy = sh(f"LC_ALL=C apt-cache policy bash {PACKAGE}").stdout.decode()
    assert [line.split()[1] for line in policy.splitlines() if "Candidate:" in line][1] == VERSION
    assert " 99 -1" in " ".join(policy.split())
    assert sh("bash --version").stdout.startswith(b"GNU bash, version 5")
    assert run(fingerprint)[1] == ""  # once more: nothing of it is in the way
