"""A genuine OpenSSH server on loopback for one test: own keys, own port, own configuration, nothing of the machine's own touched."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile {folder}/pid
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
UsePAM no
StrictModes no
MaxSessions 10
LogLevel VERBOSE
Subsystem sftp internal-sftp
{extra}
"""


def sshd_binary() -> str:
    """Path of sshd; skips the test with the reason when it is absent."""
    found = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
    if not found:
        pytest.skip("no sshd on this machine: apt-get install openssh-server")
    return found


def make_key(path: Path) -> Path:
    """A throw-away Ed25519 key without passphrase; its public half lies beside it."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", path], check=True)
    return path


def free_port() -> int:
    """A port of loopback that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Sshd:
    """`extra` lines go into sshd_config (ForceCommand, SetEnv, Match ...); `data` is the host data that pyinfra needs to get in."""

    folder: Path
    extra: str = ""
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        make_key(self.folder / "host_key")
        make_key(self.folder / "user_key")
        shutil.copy(self.folder / "user_key.pub", self.folder / "authorized_keys")
        self.trust()

    @property
    def data(self) -> dict[str, object]:
        """pyinfra's own SSH keys; the user is the one that runs the tests."""
        return {
            "ssh_hostname": "127.0.0.1",
            "ssh_port": self.port,
            "ssh_user": subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip(),
            "ssh_key": str(self.folder / "user_key"),
            "ssh_known_hosts_file": str(self.folder / "known_hosts"),
            "ssh_strict_host_key_checking": "yes",
        }

    @property
    def log(self) -> str:
        """What sshd wrote so far."""
        return (self.folder / "log").read_text(errors="replace")

    def trust(self) -> None:
        """Write the server's present key into known_hosts."""
        kind, key = (self.folder / "host_key.pub").read_text().split()[:2]
        (self.folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {kind} {key}\n")

    def change_host_key(self) -> None:
        """Give the server another key; known_hosts keeps the old one."""
        for name in ("host_key", "host_key.pub"):
            (self.folder / name).unlink()
        make_key(self.folder / "host_key")

    def start(self) -> Sshd:
        """Start and wait until it accepts connections."""
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        config = self.folder / "sshd_config"
        # Else bash, told that it serves SSH, reads the ~/.bashrc of whoever runs the tests: noise, and often a tenth of a second.
        extra = "\n".join([re.sub("^SetEnv ", "SetEnv SHLVL=1 ", self.extra, flags=re.MULTILINE), "SetEnv SHLVL=1"])
        config.write_text(CONFIG.format(port=self.port, folder=self.folder, extra=extra))
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen([sshd_binary(), "-D", "-e", "-f", config], stderr=log, cwd="/")
        self._wait()
        return self

    def _wait(self) -> None:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise RuntimeError(f"sshd does not start: {self.log}")

    def sessions(self) -> list[int]:
        """Process ids that serve a connection now."""
        assert self._process is not None
        return _children(self._process.pid)

    def cut(self) -> None:
        """Kill every connection, as a reboot or a broken line does; new ones are accepted."""
        for pid in self.sessions():
            for child in (*_children(pid), pid):
                try:
                    os.kill(child, 9)
                except ProcessLookupError:
                    continue

    def stop(self) -> None:
        """End the server and its connections."""
        if self._process is not None:
            self.cut()
            self._process.kill()
            self._process.wait()
            self._process = None


def _children(pid: int) -> list[int]:
    """Of a process; none of one that has ended meanwhile."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []
