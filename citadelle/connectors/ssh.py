"""SSH as all our connectors use it: one connection per PC, strict host keys, no Nagle delay. The only module that imports paramiko.

Works with and without gevent's monkey patching (pyinfra patches, the `citadelle` command does not).
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from base64 import b64encode
from contextlib import suppress
from hashlib import sha256
from typing import Any

import paramiko
from pyinfra.connectors.sshuserclient import client as pyinfra_client
from pyinfra.connectors.sshuserclient.client import SSHClient

from citadelle.connectors.counters import count
from citadelle.connectors.target import CONNECT_SECONDS, STRICT, Identity, Target
from citadelle.connectors.text import said

# Its lines repeat, less clearly, what the raised errors say.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)

KEEPALIVE_SECONDS = 15
CIPHERS = ("aes256-gcm@openssh.com", "aes128-gcm@openssh.com", "aes256-ctr", "aes128-ctr")
DIGESTS = ("hmac-sha2-512-etm@openssh.com", "hmac-sha2-256-etm@openssh.com")
# A line that swallows everything is given up after this time without an acknowledgement.
SILENCE_SECONDS = 60
# What the others need of paramiko; the last is what it raises when a line or a channel is gone.
Channel = paramiko.Channel
SFTPClient = paramiko.SFTPClient
ERRORS = (paramiko.SSHException, EOFError, OSError)


class Unreachable(OSError):
    """No usable connection to a host; the text is `<what>: <value>` and a `hint:` line."""


class KeyRefused(Unreachable):
    """The SSH server answers, and does not let this user in."""


class Connection:
    """One SSH connection to a PC, shared by all that speak to it; a dead transport is replaced at the next use."""

    def __init__(self, target: Target):
        self.target = target
        self._client: SSHClient | None = None
        self._lock = threading.Lock()

    @property
    def alive(self) -> bool:
        """Whether the transport is open, as far as this side knows."""
        transport = self._client.get_transport() if self._client else None
        return transport is not None and transport.is_active()

    def channel(self) -> Channel:
        """A new session channel, over a new connection when the old one does not give any. Raises `Unreachable`."""
        transport, is_new = self._transport()
        try:
            return transport.open_session(timeout=CONNECT_SECONDS)
        except paramiko.ChannelException as error:
            raise Unreachable(f"SSH session refused: {error}\nhint: MaxSessions of the SSH server: 10") from error
        except ERRORS as error:
            if is_new:
                raise Unreachable(f"connection lost: {said(error)}") from error
            self._drop(transport)
            return self.channel()

    def forward(self, address: str, port: int) -> Channel:
        """A channel that the PC connects to `address:port` as seen from itself (needs `AllowTcpForwarding local`). Raises `Unreachable`."""
        transport, _ = self._transport()
        try:
            return transport.open_channel("direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=CONNECT_SECONDS)
        except ERRORS as error:
            raise Unreachable(
                f"nothing answers on the PC's own address: {address}:{port}: {error}\n"
                f"hint: citadelle doctor --host {self.target.name}"
            ) from error

    def run(self, command: str, stdin: bytes = b"", seconds: float = 60) -> tuple[int, bytes, bytes]:
        """Run one constant command line with `stdin`; returns exit code, stdout, stderr. Raises `Unreachable`, `TimeoutError`."""
        channel = self.channel()
        try:
            channel.settimeout(seconds)
            channel.exec_command(command)
            with suppress(OSError):  # a program that ends without reading its input is no error
                channel.sendall(stdin)
                channel.shutdown_write()
            out, err = channel.makefile("rb").read(), channel.makefile_stderr("rb").read()
            return channel.recv_exit_status(), out, err
        except TimeoutError:
            raise
        except ERRORS as error:
            raise Unreachable(f"connection lost during a command: {error!r}") from error
        finally:
            channel.close()

    def close(self) -> None:
        """Close; the next use opens it again."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _drop(self, transport: paramiko.Transport) -> None:
        with self._lock:
            if self._client is not None and self._client.get_transport() is transport:
                self._client.close()
                self._client = None

    def _transport(self) -> tuple[paramiko.Transport, bool]:
        with self._lock:
            is_new = not self.alive
            if is_new:
                self._client = open_client(self.target)
            transport = self._client.get_transport() if self._client else None
            if transport is None:
                raise Unreachable("connection closed by the PC")
            return transport, is_new


_connections: dict[Identity, Connection] = {}


def connection(target: Target) -> Connection:
    """The one connection of this process to the PC and user of `target`; it is opened at its first use."""
    return _connections.setdefault(target.identity, Connection(target))


class _Client(SSHClient):
    """pyinfra's client (it reads ~/.ssh/config), with host keys that are always strict and never remembered between connections."""

    def __init__(self, target: Target):
        super().__init__()
        self._target = target

    def set_missing_host_key_policy(self, policy: Any) -> None:
        super().set_missing_host_key_policy(_Refuse(self._target))


class _Refuse(paramiko.MissingHostKeyPolicy):
    def __init__(self, target: Target):
        self.target = target

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        raise Unreachable(
            f"host key is unknown: {key.get_name()} {fingerprint(key)}\n"
            f"hint: compare it with the PC's console, then add the key to {self.target.known_hosts}"
        )


def open_client(target: Target) -> SSHClient:
    """A new connected client, after the retries that the host data asks for. Raises `Unreachable`."""
    if (wanted := target.option("ssh_strict_host_key_checking", "yes")) not in STRICT:
        raise Unreachable(
            f"host keys are always checked: ssh_strict_host_key_checking={wanted}\nhint: leave the key out"
        )
    tries = 1 + int(target.option("ssh_connect_retries", 0))
    while True:
        tries -= 1
        try:
            return _open(target)
        except Unreachable:
            if not tries:
                raise
            time.sleep(target.option("ssh_connect_retry_max_delay", 0.5))


def _open(target: Target) -> SSHClient:
    client = _Client(target)
    count(target.name, "connections")
    try:
        pyinfra_client.get_host_keys.cache.clear()
        client.connect(target.hostname, transport_factory=_transport, **target.arguments)
    except Exception as error:
        client.close()
        refused = type(error) in (paramiko.AuthenticationException, paramiko.BadAuthenticationType)
        raise (KeyRefused if refused else Unreachable)(_reason(target, error)) from error
    transport = client.get_transport()
    if transport is None:
        raise Unreachable("connection closed by the PC")
    _tune(transport)
    return client


def _tune(transport: paramiko.Transport) -> None:
    transport.set_keepalive(KEEPALIVE_SECONDS)
    if not isinstance(transport.sock, socket.socket):
        return  # a ProxyJump's channel has no socket options
    with suppress(AttributeError, OSError):  # not every system has the second
        # Without this every command waits 40 ms for Nagle's algorithm and the server's delayed acknowledgement.
        transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENCE_SECONDS * 1000)


def _transport(sock: Any, **options: Any) -> paramiko.Transport:
    """Authenticated encryption first, which is also the fastest here, then encrypt-then-MAC; nothing older, which paramiko would offer."""
    transport = paramiko.Transport(sock, **options)
    offered = transport.get_security_options()
    offered.ciphers, offered.digests = CIPHERS, DIGESTS
    return transport


def fingerprint(key: paramiko.PKey) -> str:
    """SHA256 fingerprint as `ssh-keygen -l` prints it."""
    return "SHA256:" + b64encode(sha256(key.asbytes()).digest()).decode().rstrip("=")


def _reason(target: Target, error: Exception) -> str:
    if isinstance(error, Unreachable):
        return str(error)
    if isinstance(error, paramiko.BadHostKeyException):
        return (
            f"host key is another one than expected: {error.key.get_name()} {fingerprint(error.key)}\n"
            f"hint: someone may stand in between; if the PC was set up anew: ssh-keygen -f {target.known_hosts} -R {target.known_as}"
        )
    if isinstance(error, paramiko.PasswordRequiredException):
        return f"key file needs its passphrase: {target.key}\nhint: ssh-add {target.key}, and leave ssh_key out"
    if isinstance(error, paramiko.AuthenticationException):
        return (
            f"key is refused for user {target.user}: {target.key or 'agent'}\n"
            f"hint: put its .pub into the authorized keys of {target.user} on {target.where}"
        )
    if isinstance(error, FileNotFoundError):
        return f"key file is absent: {error.filename}\nhint: set ssh_key in the inventory"
    return (
        f"unreachable: {target.where}: {getattr(error, 'strerror', None) or said(error)}\n"
        f"hint: is the PC on, and its SSH service running? ssh -v -p {target.port} {target.user}@{target.hostname}"
    )
