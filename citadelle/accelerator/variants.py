"""The kinds of accelerator: what each needs of a host, which image serves on it, and what its overlay asks of stack.env. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from citadelle.accelerator.hardware import Device, Hardware

Kind = Literal["nvidia", "amd", "intel", "npu"]
KINDS: tuple[Kind, ...] = ("nvidia", "amd", "intel", "npu")  # the order in which `auto` takes them

OF_DEVICE = "the device's own"
SPARE_GROUPS = (10001, 10004)  # the engine's own, and one that nobody has: for a device that everybody may open
MIN_DRIVER = 550  # of NVIDIA, for the CUDA of the engine's image: Ollama, docs/gpu.mdx
MIN_CARD = 4 << 30  # an AMD processor's own graphics has less, and ROCm seldom knows it
DXG = "/dev/dxg"
ROCDXG = "/opt/rocm/lib/librocdxg.so"
NO_NPU_IN_WSL = (
    "WSL 2 passes no neural processor through: its kernel has no DRM_ACCEL, and Windows refuses the calls of the drivers"
    " (github.com/microsoft/WSL/issues/40445, 40842)"
)
ROCM, OPENVINO, XDNA = "ENGINE_ROCM_IMAGE", "ENGINE_OPENVINO_IMAGE", "ENGINE_XDNA_IMAGE"
XDNA_2 = "1022:17f0"
PACKED = 16 / 4.5  # size of 16-bit weights in those of Q4_0, the smallest quantisation that is usual


@dataclass(frozen=True)
class Variant:
    """A kind of accelerator on a kind of host. `images`: by engine, the name of its image in the images lock; `obstacles`: what stands
    against it on a host; `device`: the one it would use; `nodes`: its device files; `experimental`: never chosen unasked; `copies`: what it
    keeps in memory beside the weights, in their size."""

    overlay: str
    images: dict[str, str]
    obstacles: Callable[[Hardware], Iterator[str]]
    device: Callable[[Hardware], Device | None]
    nodes: tuple[str, ...] = ()
    experimental: bool = False
    copies: float = 0

    def env(self, hardware: Hardware) -> dict[str, str]:
        """Device file and numeric groups for stack.env; Compose takes no group twice, so a second one that is none is a spare."""
        if not self.nodes:
            return {}
        device = self.device(hardware)
        paths = [device.node if device and path == OF_DEVICE else path for path in self.nodes]
        first, *others = dict.fromkeys(_group(hardware, path) for path in paths)
        env = {"ACCELERATOR_NODE": paths[0], "ACCELERATOR_GROUP": str(first)}
        second = others[0] if others else next(group for group in SPARE_GROUPS if group != first)
        return env | ({"ACCELERATOR_SECOND_GROUP": str(second)} if len(paths) > 1 else {})


def _group(hardware: Hardware, path: str) -> int:
    node = hardware.node(path)
    return node.group if node and node.group else SPARE_GROUPS[0]


def _closed(hardware: Hardware, path: str) -> Iterator[str]:
    """What keeps the engine's user from a device file."""
    node = hardware.node(path)
    if node is None:
        yield f"{path or 'its device file'} is absent"
    elif node.mode & 0o006 != 0o006 and (node.group == 0 or node.mode & 0o060 != 0o060):
        yield f"{path} is closed to everybody but root: mode {node.mode:o}, group {node.group}"


def _card(vendor: str) -> Callable[[Hardware], Device | None]:
    return lambda hardware: next(iter(hardware.all("gpu", vendor)), None)


def _neural(hardware: Hardware) -> Device | None:
    return next(iter([*hardware.all("npu", "intel"), *hardware.all("npu", "amd")]), None)


def _driver(device: Device | None, wanted: tuple[str, ...]) -> Iterator[str]:
    if device and device.driver not in wanted:
        yield f"{device.identity} is driven by {device.driver or 'nothing'} instead of {' or '.join(wanted)}"


def _nvidia(hardware: Hardware) -> Iterator[str]:
    if hardware.wsl:
        yield from _closed(hardware, DXG)
        return
    yield from _driver(_card("nvidia")(hardware), ("nvidia",))
    if not hardware.nvidia:
        yield "NVIDIA's driver is not loaded: /proc/driver/nvidia/version"
    elif int(hardware.nvidia.partition(".")[0]) < MIN_DRIVER:
        yield f"NVIDIA's driver is too old: {hardware.nvidia}, needed is {MIN_DRIVER}"


def _amd(hardware: Hardware) -> Iterator[str]:
    card = _card("amd")(hardware)
    yield from _driver(card, ("amdgpu",))
    yield from _closed(hardware, "/dev/kfd")
    yield from _closed(hardware, card.node if card else "")


def _amd_wsl(hardware: Hardware) -> Iterator[str]:
    yield from _closed(hardware, DXG)
    if ROCDXG not in hardware.libraries:
        yield f"ROCm for WSL is not installed: {ROCDXG}"


def _intel(hardware: Hardware) -> Iterator[str]:
    card = _card("intel")(hardware)
    yield from _driver(card, ("i915", "xe"))
    yield from _closed(hardware, card.node if card else "")


def _intel_wsl(hardware: Hardware) -> Iterator[str]:
    yield from _closed(hardware, DXG)


def _npu(hardware: Hardware) -> Iterator[str]:
    device = _neural(hardware)
    if hardware.wsl:
        yield NO_NPU_IN_WSL
        return
    yield from _driver(device, ("intel_vpu",))
    yield from _closed(hardware, device.node if device else "")


def _xdna(hardware: Hardware) -> Iterator[str]:
    device = _neural(hardware)
    if device and device.identity != XDNA_2:
        yield "XDNA 1: no program runs language models on it under Linux"
        return
    yield from _driver(device, ("amdxdna",))
    yield from _closed(hardware, device.node if device else "")


BOTH = {"ollama": "ENGINE_IMAGE"}
LINUX = {
    "nvidia": Variant("nvidia", BOTH, _nvidia, _card("nvidia")),
    "amd": Variant("amd", {"ollama": ROCM}, _amd, _card("amd"), (OF_DEVICE, "/dev/kfd")),
    "intel": Variant("intel", BOTH | {"llamacpp": OPENVINO}, _intel, _card("intel"), (OF_DEVICE,)),
    "npu": Variant("npu", {"llamacpp": OPENVINO}, _npu, _neural, (OF_DEVICE,)),
}
XDNA_ON_LINUX = Variant("xdna", {"llamacpp": XDNA}, _xdna, _neural, (OF_DEVICE,), experimental=True, copies=PACKED)
WSL = {
    "nvidia": LINUX["nvidia"],
    "amd": Variant("amd-wsl", {"ollama": ROCM}, _amd_wsl, _card("amd"), (DXG,), experimental=True),
    "intel": Variant("intel-wsl", {"llamacpp": OPENVINO}, _intel_wsl, _card("intel"), (DXG,), experimental=True),
    "npu": LINUX["npu"],
}


def variant_of(kind: str, hardware: Hardware) -> Variant:
    """How an accelerator is used on such a host."""
    device = _neural(hardware) if kind == "npu" else None
    if device and device.vendor == "amd" and not hardware.wsl:
        return XDNA_ON_LINUX
    return (WSL if hardware.wsl else LINUX)[kind]


VARIANTS = {variant.overlay: variant for variant in (*LINUX.values(), *WSL.values(), XDNA_ON_LINUX)}
OVERLAYS = sorted(VARIANTS)
