"""Windows' job object around a program: when the program ends, or the SSH session above it dies, nothing of it stays.

The genuine sshd puts each command in a job with KILL_ON_JOB_CLOSE whose last handle the command itself holds
(PowerShell/openssh-portable, contrib/win32/win32compat/w32-doexec.c).
"""

import os
import select
import signal
from collections.abc import Callable
from contextlib import suppress


def _members(session: int) -> list[int]:
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as handle:
                    fields = handle.read().rpartition(b")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == session and fields[0] != b"Z":
                found.append(int(name))
    return found


def close(session: int) -> None:
    """Kills every process of the job."""
    for pid in _members(session):
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def start(become: Callable[[], None]) -> int:
    """Starts a process that leads a job of its own and then runs `become` (which replaces the process)."""
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            become()
        finally:
            os._exit(126)
    return pid


def wait(pid: int, parent: int) -> int:
    """Waits for the program; gives its exit code, 255 when the session above died first."""
    poller = select.poll()
    own = os.pidfd_open(pid)
    poller.register(own, select.POLLIN)
    with suppress(OSError):
        poller.register(os.pidfd_open(parent), select.POLLIN)
    if not any(handle == own for handle, _ in poller.poll()):
        close(pid)
        os.waitpid(pid, 0)
        return 255
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    close(pid)
    return status & 0xFF
