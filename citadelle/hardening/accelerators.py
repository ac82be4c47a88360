"""Graphics and neural processors of a PC, and what can use them: a Linux in WSL 2 sees some graphics processors and no neural one."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

from citadelle.hardening.state import State

VENDORS = {"VEN_10DE": "NVIDIA", "VEN_1002": "AMD", "VEN_1022": "AMD", "VEN_8086": "Intel", "QCOM": "Qualcomm"}
# Neural processors that their drivers have put among other devices. Qualcomm's has no such number that is known: by its name.
NEURAL = r"VEN_8086&DEV_(7D1D|643E|AD1D|B03E)|VEN_1022&DEV_(1502|17F0)"
WINDOWS_ONLY = "usable by a program of Windows only, not from WSL 2"
GRAPHICS = {
    "NVIDIA": "usable from WSL 2 through CUDA, with NVIDIA's driver for Windows",
    "AMD": "usable from WSL 2 through ROCm 7.2 or newer on supported Radeon and Ryzen AI Max, else not",
    "Intel": "usable from WSL 2 through OpenCL and Level Zero",
}


@dataclass(frozen=True)
class Accelerator:
    """`use`: by what it can be used, as of WSL 2 in 2026; `memory`: bytes of its own, 0 where its driver does not say."""

    kind: Literal["gpu", "npu"]
    name: str
    vendor: str
    use: str
    memory: int = 0

    @property
    def told(self) -> str:
        """Its name, and its memory where that is known."""
        return f"{self.name}, {self.memory / 2**30:.1f} GiB" if self.memory else self.name


def accelerators(state: State) -> list[Accelerator]:
    """What the PC has; nothing where the state does not say."""
    devices = [*state.sections.get("npus", []), *state.sections.get("gpus", [])]
    seen = {str(device.get("InstanceId", "")).upper(): device for device in devices}
    return [
        replace(
            _described(identity, str(device.get("Name", "")), device in state.sections.get("npus", [])),
            memory=int(device.get("Memory") or 0),
        )
        for identity, device in seen.items()
    ]


def _described(identity: str, name: str, is_compute: bool) -> Accelerator:
    vendor = next((vendor for mark, vendor in VENDORS.items() if mark in identity), "unknown")
    if is_compute or re.search(NEURAL, identity) or (vendor == "Qualcomm" and "hexagon" in name.lower()):
        return Accelerator("npu", name, vendor, WINDOWS_ONLY)
    return Accelerator("gpu", name, vendor, GRAPHICS.get(vendor, "not known to be usable"))
