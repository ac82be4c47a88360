"""The distribution's own start and end, in a lab PC: there its systemd target is what runs "inside WSL".

A lab PC starts with `windows.target`: sshd and the start-up tasks, nothing else. The first wsl.exe starts `multi-user.target`, and with
it Docker and the stack, as a distribution with systemd starts at the first wsl.exe of its owner. A double with a home of its own has none.
"""

import os
import subprocess
from contextlib import suppress
from pathlib import Path

from . import home

STARTED = Path("/run/windows-double-wsl")
EARLY = Path(
    "/etc/systemd/system/sysinit.target.wants"
)  # what the distribution itself starts early: Windows' target needs that target too
SHIM = "containerd-shim"


def can_stop() -> bool:
    """Whether this is a PC that starts as Windows alone."""
    return not home.HAS_OWN_HOME and Path("/etc/systemd/system/windows.target").exists()


def _root(*words: str) -> int:
    line = words if os.geteuid() == 0 else ("/usr/bin/sudo", "-n", *words)
    null = subprocess.DEVNULL
    return subprocess.run(line, stdin=null, stdout=null, stderr=null, check=False).returncode


def start() -> None:
    """Start it, and wait for it as wsl.exe does: ten seconds at most."""
    if can_stop() and not STARTED.exists():
        _root("touch", str(STARTED))
        _root("systemctl", "start", "--no-block", *_early(), "multi-user.target")
        _root("timeout", "10", "systemctl", "is-system-running", "--wait")


def end(pid: int) -> None:
    """End what a wsl.exe has become: itself, and below sudo the program that it was started for."""
    _root("pkill", "-9", "-P", str(pid))
    _root("kill", "-9", str(pid))


def stop() -> None:
    """End all that runs inside; what was in its memory is gone. Containers too, which a Docker Engine would leave running."""
    if not can_stop() or not STARTED.exists():
        return
    _root("systemctl", "isolate", "windows.target")
    _root(
        "systemctl", "stop", *_sockets(), *_early()
    )  # an isolation leaves them, and the folders that sockets have made
    _root("systemctl", "stop", "docker-*.scope")
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and (entry / "comm").read_text().startswith(SHIM):
                _root("kill", "-9", entry.name)
    _root("umount", "--recursive", "/run/citadelle/models")
    _root("rm", "-rf", "/run/citadelle", str(STARTED))


def _early() -> list[str]:
    return sorted(link.name for link in EARLY.glob("*.service") if link.resolve().parent == EARLY.parent)


def _sockets() -> list[str]:
    """Sockets of the distribution's services, in which Windows has no part."""
    line = ["/usr/bin/systemctl", "list-units", "--type=socket", "--state=active", "--plain", "--no-legend"]
    listed = subprocess.run(line, capture_output=True, text=True, check=False).stdout.splitlines()
    return [name for name in (row.split()[0] for row in listed if row) if not name.startswith(("systemd-", "dbus"))]


def restart_machine() -> None:
    """The PC restarts: its init ends, and whoever holds its power starts it again."""
    _root("systemctl", "reboot")
