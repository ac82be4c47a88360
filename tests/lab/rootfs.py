"""A stand-in for the root file system of a distribution: the lab PC itself plays the distribution, so nothing of it is ever unpacked."""

from __future__ import annotations

import hashlib
import io
import tarfile

from tests.lab import state

OS_RELEASE = b'ID=debian\nPRETTY_NAME="A lab PC plays this distribution"\n'


def lay() -> str:
    """Have `.lab/rootfs.tar`, always of the same bytes; returns its SHA-256."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        info = tarfile.TarInfo("etc/os-release")
        info.size = len(OS_RELEASE)
        tar.addfile(info, io.BytesIO(OS_RELEASE))
    state.write_if_changed(state.STATE / "rootfs.tar", archive.getvalue())
    return hashlib.sha256(archive.getvalue()).hexdigest()
