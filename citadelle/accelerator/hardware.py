"""What a host has that could compute, as its kernel tells it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

VENDORS = {"0x10de": "nvidia", "0x1002": "amd", "0x1022": "amd", "0x8086": "intel"}
NAMES = {"nvidia": "NVIDIA", "amd": "AMD", "intel": "Intel"}
XDNA = {"0x1502", "0x17f0"}  # XDNA 1 (Phoenix, Hawk Point) and XDNA 2, in PCI class 11.80
Kind = Literal["gpu", "npu"]
# Folders of Windows' driver store, which WSL 2 shows: their name tells whose device it is, behind a maker's own `6_lenovo_` or not.
STORE: dict[tuple[Kind, str], tuple[str, ...]] = {
    ("gpu", "amd"): ("u0",),
    ("gpu", "intel"): ("iigd_",),
    ("npu", "intel"): ("npu.inf_",),
    ("npu", "amd"): ("kipudrv.inf_", "amdnpu.inf_"),
}
CUDA = "/usr/lib/wsl/lib/libcuda.so.1"


@dataclass(frozen=True)
class Device:
    """A PCI device. `identity` as `8086:7d1d`; `driver`, `node` "" for none; `memory`: its own, in bytes, where the driver tells."""

    kind: Kind
    vendor: str
    address: str
    identity: str
    driver: str = ""
    memory: int | None = None
    node: str = ""

    @property
    def integrated(self) -> bool:
        """Whether it sits in the processor: Intel's is always at this address."""
        return self.vendor == "intel" and self.address == "0000:00:02.0"

    def __str__(self) -> str:
        memory = f", {self.memory >> 20} MiB" if self.memory else ""
        return f"{NAMES[self.vendor]} {self.kind.upper()} {self.identity} ({self.driver or 'no driver'}{memory})"


@dataclass(frozen=True)
class Node:
    """A device file: numeric group and mode."""

    path: str
    group: int
    mode: int


@dataclass(frozen=True)
class Hardware:
    """`seen` is False where the host does not exist yet; `memory` in bytes; `cards`: bytes of each NVIDIA card; `store`: folders of
    Windows' driver store; `libraries`: paths of those that were looked for and are there."""

    seen: bool = False
    kernel: str = ""
    memory: int = 0
    devices: tuple[Device, ...] = ()
    nodes: tuple[Node, ...] = ()
    nvidia: str = ""
    cards: tuple[int, ...] = ()
    store: tuple[str, ...] = ()
    libraries: frozenset[str] = frozenset()

    @property
    def wsl(self) -> bool:
        """Whether its kernel is the one of WSL 2."""
        return "microsoft" in self.kernel.lower()

    def node(self, path: str) -> Node | None:
        """The device file of that path."""
        return next((node for node in self.nodes if node.path == path), None)

    def all(self, kind: Kind, vendor: str) -> list[Device]:
        """Its PCI devices of a kind, those with most memory first."""
        found = [device for device in self.devices if (device.kind, device.vendor) == (kind, vendor)]
        return sorted(found, key=lambda device: (device.integrated, -(device.memory or 0)))

    def behind_windows(self, kind: Kind, vendor: str) -> bool:
        """Whether Windows has a driver of such a device: under WSL 2 no PCI device shows."""
        if vendor == "nvidia":
            return CUDA in self.libraries
        names = [name for folder in self.store for name in (folder, *_without_maker(folder))]
        return any(name.startswith(STORE[kind, vendor]) for name in names)

    def found(self) -> str:
        """All of it in one line."""
        shown = [str(device) for device in self.devices]
        behind: list[tuple[Kind, str]] = [("gpu", "nvidia"), *STORE] if self.wsl else []
        shown += [
            f"{NAMES[vendor]} {kind.upper()} of Windows" for kind, vendor in behind if self.behind_windows(kind, vendor)
        ]
        where = "WSL 2" if self.wsl else "Linux"
        return f"{where}, {self.memory / (1 << 30):.0f} GiB of memory, {', '.join(shown) or 'no accelerator'}"


def parse(lines: list[str]) -> Hardware:
    """From the lines of `citadelle/facts/accelerator.sh`. Raises ValueError where they break off."""
    rows = [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]
    if not rows or rows[-1] != ("end", ""):
        raise ValueError("broke off")
    values = {word: rest for word, rest in rows if word in {"kernel", "memory", "nvidia"}}
    version = re.search(r"\s(\d+\.\d+(\.\d+)?)\s", f"{values.get('nvidia', '')} ")
    devices = (_device(rest.split()) for word, rest in rows if word == "device")
    return Hardware(
        seen=True,
        kernel=values.get("kernel", "-"),
        memory=int(values.get("memory", 0)) << 10,
        devices=tuple(device for device in devices if device),
        nodes=tuple(_node(rest) for word, rest in rows if word == "node"),
        nvidia=version[1] if version else "",
        cards=tuple(
            int(rest.partition(",")[0]) << 20 for word, rest in rows if word == "card" and rest[:1].isdecimal()
        ),
        store=tuple(rest for word, rest in rows if word == "store"),
        libraries=frozenset(rest for word, rest in rows if word == "library"),
    )


def _device(words: list[str]) -> Device | None:
    address, kind, vendor, identity, driver, memory, render, accel = ("" if word == "-" else word for word in words)
    if vendor not in VENDORS:
        return None
    neural = identity in XDNA if kind.startswith("0x118") else kind.startswith("0x12")
    if not neural and not kind.startswith("0x03"):
        return None
    path = accel and f"/dev/accel/{accel}" if neural else render and f"/dev/dri/{render}"
    known = f"{vendor[2:]}:{identity[2:]}"
    size = int(memory) if memory.isdecimal() else None
    return Device("npu" if neural else "gpu", VENDORS[vendor], address, known, driver, size, path)


def _without_maker(folder: str) -> list[str]:
    found = re.match(r"\d+_[a-z]+_", folder)
    return [folder[found.end() :]] if found else []


def _node(rest: str) -> Node:
    path, group, mode = rest.rsplit(" ", 2)
    return Node(path, int(group), int(mode, 8))
