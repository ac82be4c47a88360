"""How graphics and neural processors do: what their drivers say in /sys, and NVIDIA's by its own program. Used by metrics.py, on hosts.

Sources: Linux, Documentation/gpu/amdgpu/thermal.rst and drivers/accel/ivpu/ivpu_sysfs.c; `nvidia-smi --help-query-gpu`. Intel's graphics
driver tells nobody how busy it is but who may trace the kernel, so nothing is said of it; what it is hot, node_exporter says. Under WSL
there is no /sys of them: NVIDIA's program is there.
"""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Iterator
from pathlib import Path

from citadelle.textfile import Sample

PROGRAM = "/usr/local/lib/citadelle/observability/accelerators.py"
SYS = Path("/sys/class")
NVIDIA = ("/usr/bin/nvidia-smi", "/usr/lib/wsl/lib/nvidia-smi")
ASKED = ("pci.bus_id", "utilization.gpu", "memory.used", "memory.total", "temperature.gpu")
TEXTS = {
    "citadelle_accelerator_busy_ratio": "How much of the last moment a graphics processor has worked.",
    "citadelle_accelerator_busy_seconds_total": "How long a neural processor has worked.",
    "citadelle_accelerator_memory_used_bytes": "What is taken of its memory; of a neural processor, of the host's.",
    "citadelle_accelerator_memory_bytes": "Its memory.",
    "citadelle_accelerator_temperature_celsius": "How hot it is, where its driver tells node_exporter nothing.",
}
BUSY, BUSY_SECONDS, USED, MEMORY, HEAT = TEXTS
# Of a kind: folders, and for each file there its figure and what a unit of it is.
FILES: dict[str, tuple[str, dict[str, tuple[str, float]]]] = {
    "gpu": (
        "drm/card[0-9]*/device",
        {"gpu_busy_percent": (BUSY, 0.01), "mem_info_vram_used": (USED, 1), "mem_info_vram_total": (MEMORY, 1)},
    ),
    "npu": ("accel/accel[0-9]*/device", {"npu_busy_time_us": (BUSY_SECONDS, 1e-6), "npu_memory_utilization": (USED, 1)}),
}  # fmt: skip


def samples() -> Iterator[Sample]:
    """Of each that there is; labels: its address on the bus, and what kind it is. Raises OSError where NVIDIA's program fails."""
    for kind, (folders, files) in FILES.items():
        for folder in sorted(SYS.glob(folders)):
            labels = {"device": _address(folder), "kind": kind}
            for file, (name, unit) in files.items():
                if (value := _told(folder / file)) is not None:
                    yield name, labels, value * unit
    for program in NVIDIA:
        if Path(program).exists():
            yield from nvidia(_asked(program))
            return


def _told(path: Path) -> int | None:
    """None for what is not there, and while the card sleeps: its driver does not wake it for a question."""
    try:
        return int(path.read_text())
    except OSError as error:
        if error.errno not in {errno.ENOENT, errno.EPERM, errno.EOPNOTSUPP, errno.EBUSY}:
            raise
    return None


def _address(folder: Path) -> str:
    lines = (folder / "uevent").read_text().splitlines() if (folder / "uevent").exists() else []
    return next((line.partition("=")[2] for line in lines if line.startswith("PCI_SLOT_NAME=")), folder.parent.name)


def _asked(program: str) -> str:
    command = [program, f"--query-gpu={','.join(ASKED)}", "--format=csv,noheader,nounits"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=20)
    if done.returncode:
        raise OSError(f"{program}: {(done.stderr or done.stdout).strip()[-200:]}")
    return done.stdout


def nvidia(table: str) -> Iterator[Sample]:
    """Of a line for each card, in the order of ASKED; what a card does not tell is `[N/A]` there."""
    for line in table.splitlines():
        bus, *values = (cell.strip() for cell in line.split(","))
        domain, _, rest = bus.lower().partition(":")
        labels = {"device": f"{domain[-4:]}:{rest}", "kind": "gpu"}
        units = ((BUSY, 0.01), (USED, 1 << 20), (MEMORY, 1 << 20), (HEAT, 1))
        for (name, unit), value in zip(units, values, strict=True):
            if value.isdigit():
                yield name, labels, int(value) * unit
