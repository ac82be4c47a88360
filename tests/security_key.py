"""A virtual FIDO security key in an SSH agent: what a token signs and how, as OpenSSH's PROTOCOL.u2f has it; sshd itself judges it.

A stand-in for a token and a person at it. `verifies`: whether the person is asked for the PIN, which sets the flag that sshd looks for.
"""

from __future__ import annotations

import base64
import hashlib
import socketserver
import struct
import threading
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_ssh_private_key

SK, PLAIN = b"sk-ssh-ed25519@openssh.com", b"ssh-ed25519"
APPLICATION = b"ssh:"
PRESENT, VERIFIED = 1, 4
IDENTITIES, SIGN, FAILURE = 11, 13, b"\x05"


def _string(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value


def _strings(data: bytes) -> list[bytes]:
    found = []
    while len(data) >= 4:
        (length,) = struct.unpack(">I", data[:4])
        found.append(data[4 : 4 + length])
        data = data[4 + length :]
    return found


class SecurityKey:
    """One key on a token, and a plain one beside it, behind the socket `path` of an agent."""

    def __init__(self, path: Path, plain: Path) -> None:
        self.path = path
        self.verifies = True
        self.signed: list[bytes] = []
        self._token = Ed25519PrivateKey.generate()
        loaded = load_ssh_private_key(plain.read_bytes(), None)
        assert isinstance(loaded, Ed25519PrivateKey)
        self._plain = loaded
        agent = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while head := self.rfile.read(4):
                    answer = agent._answer(self.rfile.read(struct.unpack(">I", head)[0]))
                    self.wfile.write(_string(answer))

        self._server = socketserver.ThreadingUnixStreamServer(str(path), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def _blobs(self) -> tuple[bytes, bytes]:
        token, plain = (key.public_key().public_bytes_raw() for key in (self._token, self._plain))
        return _string(SK) + _string(token) + _string(APPLICATION), _string(PLAIN) + _string(plain)

    @property
    def line(self) -> str:
        """The token's public key as in a `.pub` file."""
        return f"{SK.decode()} {base64.b64encode(self._blobs[0]).decode()} token"

    def _answer(self, request: bytes) -> bytes:
        token, plain = self._blobs
        if request[0] == IDENTITIES:
            keys = b"".join(
                _string(blob) + _string(comment) for blob, comment in ((token, b"token"), (plain, b"plain"))
            )
            return b"\x0c" + struct.pack(">I", 2) + keys
        if request[0] != SIGN:
            return FAILURE
        blob, data = _strings(request[1:])[:2]
        self.signed.append(_strings(blob)[0])
        return b"\x0e" + _string(
            self._sign(data) if blob == token else _string(PLAIN) + _string(self._plain.sign(data))
        )

    def _sign(self, data: bytes) -> bytes:
        tail = struct.pack(">BI", PRESENT | (VERIFIED if self.verifies else 0), len(self.signed))
        parts = hashlib.sha256(APPLICATION).digest() + tail + hashlib.sha256(data).digest()
        return _string(SK) + _string(self._token.sign(parts)) + tail

    def close(self) -> None:
        """End the agent."""
        self._server.shutdown()
        self._server.server_close()
