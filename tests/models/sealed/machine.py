"""A small machine in QEMU: a kernel of Debian's, this machine's own Python in memory, two disks; it runs `guest.py` and ends."""

from __future__ import annotations

import json
import re
import shutil
import stat
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from citadelle.models import verify
from tests.models.sealed.packages import Debian

HERE = Path(__file__).parent
NOT_NEEDED = {
    "test",
    "idlelib",
    "tkinter",
    "ensurepip",
    "lib2to3",
    "distutils",
    "pydoc_data",
    "unittest",
}
SECONDS = 240


def answer(debian: Debian, folder: Path, store: Path, task: str = "", program: bytes = b"") -> dict[str, Any]:
    """What the guest found. `store`: a folder with `store/`, `lock.json` and `evil`, a file as large as the weights.

    `task`: `times`, or all. `program`: another verifier than this checkout's.
    """
    image = folder / "initrd"
    image.write_bytes(b"".join(archive(contents(debian, program or Path(verify.__file__).read_bytes()))))
    disks = [disk(folder / name, store, feature) for name, feature in (("verity", "verity"), ("plain", "^verity"))]
    program, variables = debian.emulator()
    drives = [f"-drive=file={path},format=raw,if=virtio,cache=unsafe" for path in disks]
    options = ["-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot", "-m", "1536", "-smp", "2"]
    options += ["-accel", "tcg", "-cpu", "max", "-kernel", str(debian.kernel), "-initrd", str(image)]
    append = ["-append", f"console=ttyS0 loglevel=1 panic=-1 rdinit=/init {task}"]
    words = [word for drive in drives for word in drive.split("=", 1)]
    try:
        done = subprocess.run(
            [*program, *options, *words, *append], env=variables or None, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, errors="replace", timeout=SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        pytest.fail(f"the machine does not end: {(error.stdout or b'')[-3000:].decode(errors='replace')}")
    told = re.search(r"^RESULT (.*)$", done.stdout, re.MULTILINE)
    assert told, f"{done.stdout[-3000:]}{done.stderr[-1000:]}"
    return json.loads(told[1])


def disk(path: Path, content: Path, feature: str) -> Path:
    """An ext4 file system with that content, made with or without fs-verity."""
    size = sum(file.stat().st_size for file in content.rglob("*") if file.is_file())
    with path.open("wb") as file:
        file.truncate(3 * size + (64 << 20))  # the guest makes copies
    options = ["-q", "-b", "4096", "-O", feature, "-E", "root_owner=0:0", "-d", content, path]
    subprocess.run([found("mkfs.ext4"), *options], check=True, timeout=120)
    return path


def found(name: str) -> Path:
    """A program of this machine; skips where it is none."""
    return Path(
        shutil.which(name, path="/usr/bin:/bin:/usr/sbin:/sbin") or pytest.skip(f"no {name} here: e2fsprogs, mount")
    )


@dataclass(frozen=True)
class Item:
    """A file of the machine's memory; a folder or device where `mode` says so."""

    path: str
    mode: int
    content: bytes = b""
    time: int = 0


def contents(debian: Debian, verifier: bytes) -> Iterator[Item]:
    """Folders before what lies in them."""
    programs = [found("python3"), found("mount"), found("umount"), found("tune2fs")]
    library = Path("/usr/lib") / programs[0].resolve().name
    files = [*programs, *(path for path in library.rglob("*") if path.is_file() and _wanted(path))]
    files += _libraries([*programs, *(path for path in files if path.suffix == ".so")])
    # With their times: Python takes no compiled module of another.
    placed = [Item(str(path), 0o755, path.read_bytes(), int(path.stat().st_mtime)) for path in files]
    placed += [Item("/verify.py", 0o644, verifier)]
    placed += [Item("/init", 0o755, (HERE / "guest.py").read_bytes())]
    placed += [Item(f"/modules/{index:02}", 0o644, module) for index, module in enumerate(debian.modules())]
    folders = {str(parent) for item in placed for parent in Path(item.path).parents} - {"/"}
    folders |= {"/proc", "/sys", "/dev", "/run", "/tmp", "/verity", "/plain"}
    yield from (Item(name, stat.S_IFDIR | 0o755) for name in sorted(folders))
    yield from (replace(item, mode=stat.S_IFREG | item.mode) for item in placed)
    yield Item("/dev/console", stat.S_IFCHR | 0o600)


def _wanted(path: Path) -> bool:
    return not NOT_NEEDED & set(path.parts) and not path.parts[4].startswith("config-")


def _libraries(binaries: list[Path]) -> set[Path]:
    """Every shared library that one of them loads, under the name by which it is looked for."""
    said = subprocess.run(["ldd", *binaries], capture_output=True, text=True, check=False, timeout=60).stdout
    return {Path(name) for name in re.findall(r"(/\S+\.so\S*) \(0x", said)}


def archive(items: Iterable[Item]) -> Iterator[bytes]:
    """In the form that kernels unpack at their start (`newc`, Documentation/driver-api/early-userspace/buffer-format.rst)."""
    for item in [*items, Item("/TRAILER!!!", 0)]:
        path = item.path[1:].encode() + b"\0"
        console = (5, 1) if stat.S_ISCHR(item.mode) else (0, 0)
        numbers = [0, item.mode, 0, 0, 1, item.time, len(item.content), 0, 0, *console, len(path), 0]
        yield _padded(b"070701" + b"".join(b"%08X" % number for number in numbers) + path) + _padded(item.content)


def _padded(part: bytes) -> bytes:
    return part + bytes(-len(part) % 4)
