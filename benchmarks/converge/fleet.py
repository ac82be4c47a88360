"""Copies of a Linux PC: the first is converged like any PC, the others start with its disk and its Docker data.

Each has its own name, address, machine id and host keys, its own systemd and Docker Engine, the stack running and the model in place.
They carry the lab's label, so `bin/lab down` removes them too.
"""

from __future__ import annotations

import runpy
import shutil
from pathlib import Path
from typing import Any

from tests.lab import pcs, state
from tests.lab.commands import LABEL, SUBNET, Log, output, run

IMAGE = "citadelle-lab/copy:latest"
FIRST_ADDRESS = 101
# A copy makes its own at its first start.
ANONYMOUS = "rm -f /etc/ssh/ssh_host_*_key* && : > /etc/machine-id"
Hosts = dict[str, dict[str, Any]]


def lab_hosts() -> Hosts:
    """The lab's own PCs with their inventory data, as the default inventory gives them. Ends the program where there is no lab."""
    groups = runpy.run_path(str(state.ROOT / "inventory/lab.py"))
    return {name: data for group in ("windows", "wsl", "linux") for name, data in groups[group]}


def copy_hosts(count: int) -> Hosts:
    """Inventory data of the copies: the lab's own for a Linux PC, with each copy's address and the images as they are now.

    A `bin/lab` beside a run may build other images: all tools must be compared over the same.
    """
    data = runpy.run_path(str(state.ROOT / "inventory/lab.py"))["linux"][0][1]
    lock, archive = folder() / "images.lock.env", folder() / "images.tar"
    shutil.copyfile(data["stack_images_lock"], lock)
    archive.unlink(missing_ok=True)
    archive.hardlink_to(data["stack_images_archive"])  # the lab replaces this file, it never writes into it
    # One PC's alone, so that all copies get the same release: TLS has its address and certificate, Prometheus its name.
    alone = {"stack_tls_port": None, "observability": False}
    kept = {"stack_images_lock": str(lock), "stack_images_archive": str(archive), **alone}
    return {name: {**data, **kept, "ssh_hostname": address} for name, address in _copies(count).items()}


def containers(names: list[str]) -> list[str]:
    """Docker's names of the PCs."""
    return sorted({state.Pc(name.rpartition("/")[2], "linux", "").container for name in names})


def have_first(log: Log) -> str:
    """A fresh Linux PC for `copy1`, unless it is there; returns its name."""
    name, address = next(iter(_copies(1).items()))
    pcs.start_pc(name, "linux", address, log=log)
    return name


def have_others(count: int, log: Log) -> None:
    """`copy2` and on as copies of `copy1`, which has converged. Where all of them run they are left as they are."""
    (first, address), *others = _copies(count).items()
    if all(pcs.inspect(containers([name])[0], "{{.State.Running}}") == "true" for name, _ in others):
        return
    for name, _ in others:
        pcs.remove_pc(name, log=log)
    output(["docker", "image", "rm", IMAGE])
    pcs.exec_in_pc(first, ["sh", "-c", ANONYMOUS])
    run(["docker", "stop", "--time", "30", *containers([first])], log)
    run(["docker", "commit", *containers([first]), IMAGE], log)
    try:
        for name, other in others:
            pcs.start_pc(name, "linux", other, image=IMAGE, volumes_of=first, log=log)
    finally:
        pcs.start_pc(first, "linux", address, log=log)


def remove(log: Log) -> None:
    """All copies, their volumes and the image that they were made from."""
    found = output(["docker", "ps", "--all", "--filter", f"label={LABEL}", "--format", "{{.Names}}"]) or ""
    prefix = containers(["copy"])[0]
    for name in found.split():
        if name.startswith(prefix):
            pcs.remove_pc(name.removeprefix(prefix.removesuffix("copy")), log=log)
    output(["docker", "image", "rm", IMAGE])


def powershell_starts(pc: str) -> int:
    """How often the Windows PC has started its PowerShell so far, by its own journal."""
    said = pcs.exec_in_pc(pc, ["cat", "/var/lib/windows-double/journal.jsonl"]).stdout.decode(errors="replace")
    return said.count('"program": "powershell.exe"')


def _copies(count: int) -> dict[str, str]:
    prefix = SUBNET.rpartition(".")[0]
    return {f"copy{number + 1}": f"{prefix}.{FIRST_ADDRESS + number}" for number in range(count)}


def folder() -> Path:
    """Where the benchmark keeps its files while it runs."""
    return state.STATE / "benchmark"
