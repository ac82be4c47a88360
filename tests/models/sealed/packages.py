"""What a machine with a kernel of Debian's needs, from Debian's packages: a folder of unpacked files, nothing is installed."""

from __future__ import annotations

import lzma
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

APT = ["apt-get", "-q", "--yes", "-o", "APT::Sandbox::User=root"]
MODULES = ("virtio_pci", "virtio_blk", "crc32c_generic", "ext4")  # the last asks for the third by no name


@dataclass(frozen=True)
class Debian:
    """Unpacked packages under `root`."""

    root: Path

    @property
    def kernel(self) -> Path:
        """The kernel's image."""
        return next((self.root / "boot").glob("vmlinuz-*"))

    def modules(self) -> list[bytes]:
        """The modules that the machine needs, in the order in which they must be loaded."""
        there = {path.name.split(".")[0].replace("-", "_"): path for path in self.root.glob("**/*.ko*")}
        order: dict[str, bytes] = {}
        for name in MODULES:
            _with_needs(name, there, order)
        return list(order.values())

    def emulator(self) -> tuple[list[str], dict[str, str]]:
        """QEMU's command and the variables it needs."""
        if found := shutil.which("qemu-system-x86_64"):
            return [found], {}
        libraries = self.root / "usr/lib/x86_64-linux-gnu"
        paths = ":".join(str(folder) for folder in (libraries, self.root / "lib/x86_64-linux-gnu"))
        images = [word for name in ("qemu", "seabios") for word in ("-L", f"{self.root}/usr/share/{name}")]
        program = str(self.root / "usr/bin/qemu-system-x86_64")
        return [program, *images], {"LD_LIBRARY_PATH": paths, "QEMU_MODULE_DIR": str(libraries / "qemu")}


def _with_needs(name: str, there: dict[str, Path], order: dict[str, bytes]) -> None:
    if name in order or name not in there:  # what is no file is part of the kernel; loading would tell if it is not
        return
    raw = there[name].read_bytes()
    content = lzma.decompress(raw) if there[name].suffix == ".xz" else raw
    needs = re.search(rb"\0depends=([^\0]*)\0", b"\0" + content)
    for need in filter(None, needs[1].decode().split(",")) if needs else ():
        _with_needs(need.replace("-", "_"), there, order)
    order[name] = content


def brought(folder: Path) -> Debian:
    """Skips where packages cannot be had."""
    if not shutil.which("apt-get") or os.uname().machine != "x86_64":
        pytest.skip("Debian's apt-get on a PC is needed to bring a kernel with fs-verity")
    archives = folder / "archives"
    (archives / "partial").mkdir(parents=True)
    try:
        _download(archives)
        for package in archives.glob("*.deb"):
            subprocess.run(["dpkg-deb", "--extract", package, folder / "root"], check=True, timeout=120)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"packages of a kernel or of QEMU cannot be had: {error}: {str(error.stderr)[-300:]}")
    return Debian(folder / "root")


def _download(archives: Path) -> None:
    if not shutil.which("qemu-system-x86_64"):
        wanted = ["install", "--download-only", "--no-install-recommends", "qemu-system-x86"]
        _apt("-o", f"Dir::Cache::archives={archives}", *wanted, folder=archives)
    listed = _run("apt-cache", "depends", "linux-image-cloud-amd64", folder=archives)
    _apt("download", *_real_names(listed), folder=archives)


def _real_names(listed: str) -> Iterator[str]:
    yield from re.findall(r"Depends: (linux-image-\S+)", listed)


def _apt(*words: str, folder: Path) -> str:
    return _run(*APT, *words, folder=folder)


def _run(*words: str, folder: Path) -> str:
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True, timeout=300).stdout
