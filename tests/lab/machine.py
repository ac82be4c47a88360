"""Docker Engine on the lab's machine: the one that is there when it works, else Debian's."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from tests.lab import debian
from tests.lab.commands import LabError, Log, output, run

APT = ["-o", "Acquire::Check-Valid-Until=false", "-o", "DPkg::Lock::Timeout=300"]
NEEDED = {"debootstrap": "debootstrap", "xz": "xz-utils", "iptables": "iptables"}
SOURCES = Path("/etc/apt/sources.list.d/citadelle-lab.list")
PIN = Path("/etc/apt/preferences.d/citadelle-lab")
CONFIG = Path("/etc/docker/daemon.json")
DAEMON_LOG = Path("/var/log/citadelle-lab-dockerd.log")


def have_docker(log: Log, *, tools: tuple[str, ...] = ()) -> str:
    """Have a Docker Engine that answers, with Compose, and these tools of `NEEDED`. Says which. Raises `LabError`.

    Judged by its answers: a machine may carry a lone client without daemon and Compose.
    """
    absent = [NEEDED[tool] for tool in tools if shutil.which(tool, path=_path()) is None]
    ready = usable()
    if not ready and not _installed():
        _install([*debian.DOCKER, *absent, NEEDED["iptables"], "ca-certificates"], log, newer=True)
    elif absent:
        _install(absent, log, newer=False)
    if not ready:
        _start(log)
    return f"Docker Engine {usable()}"


def usable() -> str:
    """The Engine's version when daemon and Compose plugin both answer, else empty."""
    version = output(["docker", "version", "--format", "{{.Server.Version}}"], timeout=30)
    compose = output(["docker", "compose", "version", "--short"], timeout=30)
    return version if version and compose else ""


def need_root(reason: str, packages: list[str]) -> None:
    """Raises `LabError` with the exact command when this process may not install packages."""
    if os.geteuid() != 0:
        raise LabError(
            f"{reason}, and installing it needs root: uid {os.geteuid()}",
            f"sudo bin/lab   # or: sudo apt-get install {' '.join(packages)}",
        )


def _path() -> str:
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def _installed() -> bool:
    return bool(shutil.which("dockerd", path=_path())) and output(["docker", "compose", "version"]) is not None


def _install(packages: list[str], log: Log, *, newer: bool) -> None:
    names = sorted(set(packages))
    need_root(f"packages are missing: {' '.join(names)}", names)
    if newer and not PIN.exists():
        SOURCES.write_text(
            f"# bin/lab: Docker with Compose, pinned in {PIN}\ndeb {debian.machine_source().main} {debian.NEWER} main\n"
        )
        PIN.write_text(debian.pin())
    if newer and not CONFIG.exists():
        # This store keeps digests through save and load, so the lab shows what its PCs show.
        CONFIG.parent.mkdir(parents=True, exist_ok=True)
        CONFIG.write_text('{"features": {"containerd-snapshotter": true}}\n')
    run(["apt-get", *APT, "update"], log)
    run(
        ["apt-get", *APT, "install", "--yes", "--no-install-recommends", *names],
        log,
        env={"DEBIAN_FRONTEND": "noninteractive"},
    )


def _start(log: Log) -> None:
    need_root("Docker is installed and its daemon does not answer", ["docker.io"])
    if Path("/run/systemd/system").is_dir():
        run(["systemctl", "start", "docker"], log)
    else:
        _start_as_process(log)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if usable():
            return
        time.sleep(0.3)
    raise LabError("Docker's daemon does not answer after 60 s", f"less {DAEMON_LOG}")


def _start_as_process(log: Log) -> None:
    """No systemd here (a container, a small virtual machine): the daemon outlives this process in a session of its own."""
    log.write(f"starting dockerd, its log: {DAEMON_LOG}\n")
    with DAEMON_LOG.open("ab") as file:
        subprocess.Popen(
            ["dockerd"],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
            env={**os.environ, "PATH": _path()},
            cwd="/",
        )
