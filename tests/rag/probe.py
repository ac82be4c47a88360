"""Runs inside the container of rag, by its standard input: what a program there that was taken over would try, and what came of it.

Prints JSON: name of what was tried, and the name of the error (or signal), or "done".
"""

import ctypes
import errno
import json
import mmap
import os
import platform
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

LIBC = ctypes.CDLL(None, use_errno=True)
# Numbers of the kernel's table for x86_64 (arch/x86/entry/syscalls/syscall_64.tbl).
CALLS: dict[str, tuple[int, ...]] = {
    "io_uring_setup": (425, 8, 0), "io_uring_enter": (426, 0, 0, 0, 0, 0), "io_uring_register": (427, 0, 0, 0, 0),
    "ptrace": (101, 0x4200, 0, 0, 0),
    "bpf": (321, 0, 0, 0), "process_vm_readv": (310, 1, 0, 0, 0, 0, 0), "process_vm_writev": (311, 1, 0, 0, 0, 0, 0),
    "unshare": (272, 0x10000000),
    "setns": (308, 0, 0), "mount": (165, 0, 0, 0, 0, 0), "keyctl": (250, 0), "add_key": (248, 0, 0, 0, 0, 0), "userfaultfd": (323, 0),
    "perf_event_open": (298, 0, 0, 0, 0, 0), "pidfd_getfd": (438, 0, 0, 0), "memfd_create": (319, 0, 0), "init_module": (175, 0, 0, 0),
    "kexec_load": (246, 0, 0, 0, 0), "chroot": (161, 0), "pivot_root": (155, 0, 0), "clone3": (435, 0, 0),
    "clone NEWUSER": (56, 0x10000000, 0, 0, 0, 0),
    "personality": (135, 0xFFFFFFFF), "mknod device": (133, 0, 0o020600, 0x0103), "open_by_handle_at": (304, 0, 0, 0),
}  # fmt: skip
FAMILIES = ("AF_INET", "AF_INET6", "AF_NETLINK", "AF_PACKET", "AF_VSOCK", "AF_ALG", "AF_BLUETOOTH", "AF_CAN")
PLACES = {
    "internet": ("1.1.1.1", 53),
    "host": ("172.17.0.1", 22),
    "metadata": ("169.254.169.254", 80),
    "loopback": ("127.0.0.1", 8080),
}
NAMES = ("engine", "gateway", "host.docker.internal", "example.org")


def tried(call: Callable[[], Any]) -> str:
    try:
        call()
    except socket.gaierror:
        return "no name"
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error.errno))
    return "done"


def system(number: int, *arguments: int) -> None:
    if LIBC.syscall(number, *(ctypes.c_long(value) for value in arguments)) == -1:
        raise OSError(ctypes.get_errno(), "")


def old_socketcall() -> str:
    """socketcall(2) of the 32-bit interface, which a filter for 64 bits alone would not see: int 0x80 in a child."""
    code = bytes.fromhex("b866000000bb0100000031c9cd80c3")  # eax = 102, ebx = SYS_SOCKET, ecx = 0
    if (child := os.fork()) == 0:
        area = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        area.write(code)
        ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(area)))()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else "done"


def main() -> None:
    own = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)  # the one family that there is
    said = {name: tried(lambda numbers=numbers: system(*numbers)) for name, numbers in CALLS.items()}  # type: ignore[misc]
    said |= {name: tried(lambda name=name: socket.socket(getattr(socket, name), socket.SOCK_RAW)) for name in FAMILIES}  # type: ignore[misc]
    said |= {name: tried(lambda place=place: socket.create_connection(place, 5)) for name, place in PLACES.items()}  # type: ignore[misc]
    said |= {name: tried(lambda name=name: socket.create_connection((name, 11434), 5)) for name in NAMES}  # type: ignore[misc]
    said["connect"] = tried(lambda: own.connect("/run/rag/rag.sock"))
    said["socketcall"] = old_socketcall()
    for path in ("/opt/rag/new", "/etc/new", "/var/lib/rag/new", "/new"):
        said[f"write {path}"] = tried(lambda path=path: Path(path).touch())  # type: ignore[misc]
    facts = {
        "machine": platform.machine(), "interfaces": sorted(os.listdir("/sys/class/net")), "uid": os.getuid(),
        "seccomp": Path("/proc/self/status").read_text().partition("Seccomp:\t")[2][:1],
    }  # fmt: skip
    print(json.dumps(said | facts))


main()
