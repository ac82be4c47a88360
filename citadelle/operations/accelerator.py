"""The accelerator of a host: there and usable, large enough, described to Docker."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from pyinfra import host
from pyinfra.api import QuoteString, StringCommand, operation
from pyinfra.api.command import PyinfraCommand
from pyinfra.context import ctx_host

from citadelle.accelerator.budget import Sizing
from citadelle.accelerator.decision import Choice
from citadelle.accelerator.hardware import Hardware
from citadelle.facts.accelerator import AcceleratorHardware
from citadelle.facts.docker import Cdi, CdiDevices, PackagesInstalled
from citadelle.operations.docker import APT, QUIET
from citadelle.operations.refusal import attempt, refusal

KEYRING = "/etc/apt/keyrings/nvidia-container-toolkit.asc"
SOURCE = "/etc/apt/sources.list.d/nvidia-container-toolkit.list"
PREFERENCES = "/etc/apt/preferences.d/nvidia-container-toolkit"
SPECIFICATION = "/etc/cdi/nvidia.yaml"
CARDS = "nvidia.com/gpu=all"
Commands = Generator[PyinfraCommand, None, None]

_hardware: WeakKeyDictionary[object, Hardware] = WeakKeyDictionary()


def hardware() -> Hardware:
    """What this host has: asked once a run, and again as long as the host did not exist yet."""
    this = ctx_host.get()
    if not _hardware.get(this, Hardware()).seen:
        _hardware[this] = host.get_fact(AcceleratorHardware)
    return _hardware[this]


@operation()
def usable(choice: Choice) -> Commands:
    """Stop a host that lacks the accelerator that the inventory names, or cannot use it.

    + choice: what is asked for, the engine, and the images that there are.
    """
    decision = choice.on(hardware())
    if decision.refusal:
        yield refusal(decision.refusal, decision.hint)
    else:
        host.noop(decision.line() if hardware().seen else "the host does not exist yet")


@operation()
def fits(sizing: Sizing) -> Commands:
    """Stop a host whose memory cannot hold the model, unless the inventory says itself how much is to be used.

    + sizing: the model, and what is given.
    """
    budget = sizing.on(hardware())
    if hardware().seen and not budget.fits and sizing.derived:
        yield refusal(
            f"model does not fit: {budget.line()}",
            "a smaller model: stack_model; or stack_engine_context, stack_engine_memory",
        )
    else:
        host.noop(budget.line())


@dataclass(frozen=True)
class Toolkit:
    """NVIDIA's container toolkit: the package, its version, the repository (https), and the fingerprint of the key that signs it."""

    package: str
    version: str
    repository: str
    fingerprint: str


@operation()
def container_toolkit(choice: Choice, pin: Toolkit) -> Commands:
    """Have NVIDIA's cards described to Docker (CDI), by NVIDIA's own tool, on a host that uses them.

    + choice: as for `usable`.
    + pin: the package, its version and source; a key with another fingerprint stops the host before it is used.
    """
    if choice.on(hardware()).accelerator != "nvidia":
        host.noop("no NVIDIA card is used here")
        return
    installed = host.get_fact(PackagesInstalled, packages=[pin.package]).get(pin.package)
    if installed == pin.version and _described(host.get_fact(CdiDevices), hardware()):
        host.noop(f"NVIDIA's cards are described to Docker by {pin.package} {pin.version}")
        return
    if installed != pin.version:
        yield from _install(pin)
    mode = "wsl" if hardware().wsl else "nvml"
    yield attempt(
        f"mkdir -p /etc/cdi && nvidia-ctk cdi generate --mode={mode} --output={SPECIFICATION} && nvidia-ctk cdi list | grep -qx {CARDS}",
        f"NVIDIA cards cannot be described: {SPECIFICATION}",
        "nvidia-smi; does the driver answer?",
    )


def _described(found: Cdi, here: Hardware) -> bool:
    """Whether the cards are described, and for the driver that runs now; under WSL 2 the driver is Windows' own, without a version here."""
    return CARDS in found.devices and (here.wsl or here.nvidia in found.drivers)


def _install(pin: Toolkit) -> Commands:
    """Nothing of the repository is used, and no file of its own lies anywhere, before its key is the pinned one."""
    fresh = f"{KEYRING}.new"
    yield attempt(
        StringCommand(QUIET, APT, "update &&", APT, "install --yes ca-certificates curl gnupg"),
        "packages cannot be installed: ca-certificates curl gnupg",
        "look at /etc/apt/sources.list and its network, the lines above",
    )
    yield attempt(
        StringCommand(
            "mkdir -p /etc/apt/keyrings && curl -fsSL --proto =https",
            QuoteString(f"{pin.repository}/gpgkey"),
            "-o",
            fresh,
        ),
        f"key of the NVIDIA repository cannot be fetched: {pin.repository}/gpgkey",
        "does this host reach it?",
    )
    # The one primary key of the file, and no second one beside it.
    found = f"gpg --show-keys --with-colons {fresh} | sed -n '/^pub:/,/^fpr:/s/^fpr:*\\([0-9A-F]*\\):*$/\\1/p'"
    yield attempt(
        f'{{ test "$({found})" = {pin.fingerprint} || {{ {found}; rm -f {fresh}; false; }} >&2; }}',
        f"key of the NVIDIA repository is not the pinned one: {pin.fingerprint}",
        "the lines above name the key that came; policies/nvidia-container-toolkit.yaml pins the right one",
    )
    yield StringCommand(f"mv {fresh} {KEYRING}", *_write(SOURCE, _source(pin)), *_write(PREFERENCES, _preferences(pin)))
    yield attempt(
        StringCommand(
            QUIET,
            APT,
            "update &&",
            APT,
            "install --yes --no-install-recommends",
            QuoteString(f"{pin.package}={pin.version}"),
        ),
        f"package cannot be installed: {pin.package} {pin.version}",
        f"apt-cache policy {pin.package}; the lines above",
    )


def _write(path: str, text: str) -> tuple[object, ...]:
    return ("&& printf '%s\\n'", QuoteString(text), ">", path)


def _source(pin: Toolkit) -> str:
    return f"deb [signed-by={KEYRING}] {pin.repository}/stable/deb/$(ARCH) /"


def _preferences(pin: Toolkit) -> str:
    """That repository gives this one package alone, in this version alone."""
    origin = pin.repository.partition("://")[2].partition("/")[0].partition(":")[0]
    nothing = f"Package: *\nPin: origin {origin}\nPin-Priority: -1"
    return f"{nothing}\n\nPackage: {pin.package}\nPin: version {pin.version}\nPin-Priority: 600"
