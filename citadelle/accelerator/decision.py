"""Which accelerator a host's engine uses: what the inventory asks for, held against what is there. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from citadelle.accelerator.hardware import NAMES, Hardware
from citadelle.accelerator.variants import KINDS, MIN_CARD, Kind, variant_of

Accelerator = Literal["auto", "cpu", "nvidia", "amd", "intel", "npu"]
Engine = Literal["ollama", "llamacpp"]


@dataclass(frozen=True)
class Decision:
    """What runs. `overlay`: `compose/accelerator.<overlay>.yaml`, "" for none; `image`: name of its image in the images lock; `env`:
    what the overlay asks of stack.env; `device`: what computes; `refusal` and `hint`: why the host must stop; `unused`: what is
    there and not used, each with the reason; `copies`: what it keeps in memory beside the weights, in their size."""

    accelerator: str = "cpu"
    overlay: str = ""
    image: str = "ENGINE_IMAGE"
    env: dict[str, str] = field(default_factory=dict)
    device: str = "the processor"
    experimental: bool = False
    memory: int | None = None
    copies: float = 0
    refusal: str = ""
    hint: str = ""
    unused: tuple[str, ...] = ()

    def line(self) -> str:
        """For people."""
        return f"{self.accelerator}: {self.device}" + (", experimental" if self.experimental else "")


@dataclass(frozen=True)
class Choice:
    """What a host's inventory asks for, its engine, and the names in its images lock."""

    wanted: Accelerator
    engine: Engine
    locked: frozenset[str]

    def on(self, hardware: Hardware) -> Decision:
        """The decision for a host with this hardware."""
        return decide(self.wanted, hardware, self.engine, self.locked)


def decide(wanted: Accelerator, hardware: Hardware, engine: Engine, locked: frozenset[str]) -> Decision:
    """The decision for a host with this hardware, engine, and these names in its images lock.

    `auto` takes the first that nothing stands against, else the processor; one that is asked for by name is refused where it is
    absent or unusable, with all that was found.
    """
    kinds = [kind for kind in KINDS if _present(kind, hardware)]
    unused: dict[str, list[str]] = {kind: list(_against(kind, hardware, engine, locked)) for kind in kinds}
    if wanted == "auto":
        unused = {kind: [*unused[kind], *_not_by_itself(kind, hardware)] for kind in kinds}
    free = [kind for kind in kinds if not unused[kind] and wanted in {"auto", kind}]
    if wanted not in {"auto", "cpu"} and hardware.seen and not free:
        return _refused(wanted, unused.get(wanted), hardware)
    chosen = free[0] if free else None
    reasons = tuple(f"{kind}: {'; '.join(unused[kind]) or 'not asked for'}" for kind in kinds if kind != chosen)
    return _chosen(chosen, hardware, engine, reasons) if chosen else Decision(unused=reasons)


def _present(kind: Kind, hardware: Hardware) -> bool:
    if kind == "npu":
        return any(_has("npu", vendor, hardware) for vendor in ("intel", "amd"))
    return _has("gpu", kind, hardware)


def _has(kind: Literal["gpu", "npu"], vendor: str, hardware: Hardware) -> bool:
    return bool(hardware.all(kind, vendor)) or (hardware.wsl and hardware.behind_windows(kind, vendor))


def _against(kind: Kind, hardware: Hardware, engine: Engine, locked: frozenset[str]) -> Iterator[str]:
    """What stands against it, whoever asks."""
    variant = variant_of(kind, hardware)
    yield from variant.obstacles(hardware)
    image = variant.images.get(engine)
    if variant.images and image is None:
        yield f"stack_engine {engine} cannot use it: set {' or '.join(variant.images)}"
    elif image and image not in locked:
        yield f"{image} is not in the images lock: citadelle images build --with {image.split('_')[1].lower()}"


def _not_by_itself(kind: Kind, hardware: Hardware) -> Iterator[str]:
    """What stands against it only while nobody asks for it by name."""
    best = variant_of(kind, hardware).device(hardware)
    if variant_of(kind, hardware).experimental:
        yield f"experimental: only with accelerator: {kind}"
    elif best and best.integrated:
        yield f"shares the processor's memory: only with accelerator: {kind}"
    elif best and kind == "amd" and (best.memory or 0) < MIN_CARD:
        yield f"has {(best.memory or 0) >> 20} MiB of its own: only with accelerator: {kind}"


def _refused(wanted: str, reasons: list[str] | None, hardware: Hardware) -> Decision:
    why = f"cannot be used: {'; '.join(reasons)}" if reasons else "is not there"
    what = f"accelerator is asked for and {why}: {wanted}; found: {hardware.found()}"
    return Decision(refusal=what, hint="accelerator = 'auto' or 'cpu' in the inventory; docs/accelerators.md")


def _chosen(kind: Kind, hardware: Hardware, engine: Engine, unused: tuple[str, ...]) -> Decision:
    variant = variant_of(kind, hardware)
    device = variant.device(hardware)
    memory = device.memory if device else None
    memory = (sum(hardware.cards) or None) if kind == "nvidia" else memory
    name = str(device) if device else f"{NAMES[kind]} GPU of Windows"
    return Decision(
        accelerator=kind,
        overlay=variant.overlay,
        image=variant.images[engine],
        env=variant.env(hardware),
        device=name + (f", {memory >> 20} MiB" if memory and kind == "nvidia" else ""),
        experimental=variant.experimental,
        memory=memory,
        copies=variant.copies,
        unused=unused,
    )
