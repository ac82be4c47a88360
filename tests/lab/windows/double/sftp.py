"""SFTP: the genuine server does the work; with a home of its own the paths below /C: are led there."""

import os
import struct
import subprocess
import threading

from . import home, journal

SERVERS = ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/lib/ssh/sftp-server")
ONE_PATH = {3, 7, 9, 10, 11, 13, 14, 15, 16, 17, 19}  # packet types whose first text is a path
TWO_PATHS = {18, 20}  # rename, symlink
EXTENDED, NAME = 200, 104
EXTENSIONS = {  # extended requests and how many paths they start with
    b"posix-rename@openssh.com": 2,
    b"hardlink@openssh.com": 2,
    b"statvfs@openssh.com": 1,
    b"lsetstat@openssh.com": 1,
    b"expand-path@openssh.com": 1,
}


def server() -> str:
    """The sftp-server of this machine."""
    found = [path for path in SERVERS if os.path.exists(path)]
    if not found:
        raise SystemExit("no sftp-server on this machine: install openssh-sftp-server")
    return found[0]


def serve() -> int:
    """Becomes the SFTP server, or stands between it and the client."""
    journal.note("sftp-server.exe", [])
    os.chdir(home.DRIVE)
    if not home.HAS_OWN_HOME:
        os.execv(server(), [server()])
    return _between()


def _text(packet: bytes, at: int) -> tuple[bytes, int]:
    size = struct.unpack_from(">I", packet, at)[0]
    return packet[at + 4 : at + 4 + size], at + 4 + size


def _inward(path: bytes) -> bytes:
    upper = path[:3].upper()
    return os.fsencode(home.DRIVE) + path[3:] if upper == b"/C:" else path


def _outward(path: bytes) -> bytes:
    own = os.fsencode(home.DRIVE)
    return b"/C:" + path[len(own) :] if path == own or path.startswith(own + b"/") else path


def _paths(packet: bytes) -> tuple[int, int]:
    """How many paths a request starts with, and where the first one lies."""
    kind = packet[0]
    if kind == EXTENDED:
        name, after = _text(packet, 5)
        return EXTENSIONS.get(name, 0), after
    return 2 if kind in TWO_PATHS else 1 if kind in ONE_PATH else 0, 5


def _request(packet: bytes) -> bytes:
    count, first = _paths(packet)
    at, out = first, b""
    for _ in range(count):
        path, at = _text(packet, at)
        path = _inward(path)
        out += struct.pack(">I", len(path)) + path
    return packet[:first] + out + packet[at:]


def _reply(packet: bytes, realpaths: set[bytes]) -> bytes:
    if packet[0] != NAME or packet[1:5] not in realpaths:
        return packet
    realpaths.discard(packet[1:5])
    path, _ = _text(packet, 9)
    path = _outward(path)
    shown = struct.pack(">I", len(path)) + path
    return packet[:9] + shown + shown + struct.pack(">I", 0)


def _exact(handle: int, size: int) -> bytes:
    parts = []
    while size:
        part = os.read(handle, size)
        if not part:
            return b""
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _packet(handle: int) -> bytes:
    head = _exact(handle, 4)
    return _exact(handle, struct.unpack(">I", head)[0]) if head else b""


def _send(handle: int, packet: bytes) -> None:
    data = memoryview(struct.pack(">I", len(packet)) + packet)
    while data:
        data = data[os.write(handle, data) :]


def _between() -> int:
    engine = subprocess.Popen([server()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    assert engine.stdin is not None
    assert engine.stdout is not None
    to_engine, from_engine, realpaths = engine.stdin, engine.stdout, set[bytes]()

    def requests() -> None:
        while packet := _packet(0):
            if packet[0] == 16:
                realpaths.add(packet[1:5])
            _send(to_engine.fileno(), _request(packet))
        to_engine.close()

    threading.Thread(target=requests, daemon=True).start()
    while packet := _packet(from_engine.fileno()):
        _send(1, _reply(packet, realpaths))
    return engine.wait()
