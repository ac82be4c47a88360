"""SSH as all our connectors use it: one connection per PC, strict host keys, no Nagle delay. The only module that imports paramiko.

Works with and without gevent's monkey patching (pyinfra patches, the `citadelle` command does not).
"""

from __future__ import annotations

import socket
import threading
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import paramiko

from citadelle.connectors.counters import count

CONNECT_SECONDS = 15
KEEPALIVE_SECONDS = 15


class Unreachable(OSError):
    """No usable connection to a host; the text is `<what>: <value>` and a `hint:` line."""


@dataclass(frozen=True)
class Target:
    """Where and how a PC is reached; made from pyinfra's own `ssh_*` data keys."""

    name: str
    hostname: str
    port: int
    user: str
    key: str | None
    known_hosts: str

    @classmethod
    def from_data(cls, name: str, data: Mapping[str, Any]) -> Target:
        """`name` is the PC's name; `data` holds the `ssh_*` keys of pyinfra's SSH connector."""
        return cls(
            name=name,
            hostname=data.get("ssh_hostname") or name,
            port=int(data.get("ssh_port") or 22),
            user=data.get("ssh_user") or "root",
            key=data.get("ssh_key"),
            known_hosts=str(Path(data.get("ssh_known_hosts_file") or "~/.ssh/known_hosts").expanduser()),
        )

    @property
    def known_as(self) -> str:
        """The name under which known_hosts files list this server."""
        return self.hostname if self.port == 22 else f"[{self.hostname}]:{self.port}"


class Connection:
    """One SSH connection to a PC, shared by all that speak to it; a dead transport is replaced at the next use."""

    def __init__(self, target: Target):
        self.target = target
        self._client: paramiko.SSHClient | None = None
        self._lock = threading.Lock()

    def channel(self) -> paramiko.Channel:
        """A new session channel. Raises `Unreachable`."""
        try:
            return self._transport().open_session(timeout=CONNECT_SECONDS)
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise Unreachable(f"connection lost: {error}") from error

    def forward(self, address: str, port: int) -> paramiko.Channel:
        """A channel that the PC connects to `address:port` as seen from itself. Raises `Unreachable`."""
        try:
            return self._transport().open_channel(
                "direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=CONNECT_SECONDS
            )
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise Unreachable(
                f"nothing answers on the PC's own address: {address}:{port}\nhint: citadelle doctor --host {self.target.name}"
            ) from error

    def run(self, command: str, stdin: bytes = b"", seconds: float = 60) -> tuple[int, bytes, bytes]:
        """Run one constant command line with `stdin`; returns exit code, stdout, stderr. Raises `Unreachable`."""
        channel = self.channel()
        try:
            channel.settimeout(seconds)
            channel.exec_command(command)
            channel.sendall(stdin)
            channel.shutdown_write()
            out, err = channel.makefile("rb").read(), channel.makefile_stderr("rb").read()
            return channel.recv_exit_status(), out, err
        except (OSError, paramiko.SSHException, EOFError) as error:
            raise Unreachable(f"connection lost during a command: {error!r}") from error
        finally:
            channel.close()

    def close(self) -> None:
        """Close; the next use opens it again."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _transport(self) -> paramiko.Transport:
        with self._lock:
            transport = self._client.get_transport() if self._client else None
            if transport is None or not transport.is_active():
                self._client = _open(self.target)
                transport = self._client.get_transport()
            if transport is None:
                raise Unreachable("connection closed by the PC")
            return transport


_connections: dict[Target, Connection] = {}


def connection(target: Target) -> Connection:
    """The one connection of this process to `target`; it is opened at its first use."""
    return _connections.setdefault(target, Connection(target))


def _open(target: Target) -> paramiko.SSHClient:
    client = paramiko.SSHClient()
    if Path(target.known_hosts).is_file():
        client.load_host_keys(target.known_hosts)
    client.set_missing_host_key_policy(_Refuse(target))
    count(target.name, "connections")
    try:
        client.connect(
            target.hostname,
            port=target.port,
            username=target.user,
            key_filename=str(Path(target.key).expanduser()) if target.key else None,
            allow_agent=target.key is None,
            look_for_keys=target.key is None,
            timeout=CONNECT_SECONDS,
            banner_timeout=CONNECT_SECONDS,
            auth_timeout=CONNECT_SECONDS,
        )
    except Exception as error:
        client.close()
        raise Unreachable(_reason(target, error)) from error
    transport = client.get_transport()
    if transport is None:
        raise Unreachable("connection closed by the PC")
    # Without this every command waits 40 ms for Nagle's algorithm and the server's delayed acknowledgement.
    if isinstance(transport.sock, socket.socket):
        transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    transport.set_keepalive(KEEPALIVE_SECONDS)
    return client


class _Refuse(paramiko.MissingHostKeyPolicy):
    def __init__(self, target: Target):
        self.target = target

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        raise Unreachable(
            f"host key is unknown: {key.get_name()} {fingerprint(key)}\n"
            f"hint: compare it with the PC's console, then add the key to {self.target.known_hosts}"
        )


def fingerprint(key: paramiko.PKey) -> str:
    """SHA256 fingerprint as `ssh-keygen -l` prints it."""
    return "SHA256:" + b64encode(sha256(key.asbytes()).digest()).decode().rstrip("=")


def _reason(target: Target, error: Exception) -> str:
    where = f"{target.hostname} port {target.port}"
    if isinstance(error, Unreachable):
        return str(error)
    if isinstance(error, paramiko.BadHostKeyException):
        return (
            f"host key is another one than expected: {error.key.get_name()} {fingerprint(error.key)}\n"
            f"hint: someone may stand in between; if the PC was set up anew: ssh-keygen -f {target.known_hosts} -R {target.known_as}"
        )
    if isinstance(error, paramiko.AuthenticationException):
        return (
            f"key is refused for user {target.user}: {target.key or 'agent'}\n"
            f"hint: put its .pub into the authorized keys of {target.user} on {where}"
        )
    if isinstance(error, FileNotFoundError):
        return f"key file is absent: {error.filename}\nhint: set ssh_key in the inventory"
    return (
        f"unreachable: {where}: {error}\n"
        f"hint: is the PC on, and its SSH service running? ssh -v -p {target.port} {target.user}@{target.hostname}"
    )
