"""Brings the audit trail to a SIEM: RFC 5424 in frames of RFC 5425, over TLS 1.3 with a certificate on each side. Lines come from rsyslog.

Runs alone on a host (standard library, Python 3.10 or newer): siem.py FORM HOST ADDRESS PORT PEER FOLDER; `PEER` is the name in the SIEM's
certificate, `FOLDER` has `ca.pem`, `certificate.pem` and `key.pem`. rsyslog's own omfwd can do this, but that of Debian 12 sends the first
message of every outage twice, and loses what was under way when a connection ends.

No SIEM answers a message. What counts here as delivered is what the TCP of the other side has acknowledged; the rest is sent again, over
the next connection. So nothing is lost or sent twice, unless the other side dies with messages that it has taken and not read, or rsyslog
or this program is killed within a batch: then it comes again, with the same ids.
"""

from __future__ import annotations

import array
import fcntl
import socket
import ssl
import sys
import termios
import time
from contextlib import suppress
from pathlib import Path

if not __package__:  # run as a file, on a host as in the checkout
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from citadelle.shipping import forms, handover

PROGRAM = "/usr/local/lib/citadelle/shipping/siem.py"
CONNECT_SECONDS, AGAIN_SECONDS, UNHEARD_MILLISECONDS = 10.0, 2.0, 30_000
# Of TLS 1.3 (RFC 8446, 5.2): bytes in a record, and what it adds to them: head, type, tag of the cipher.
RECORD, OVERHEAD = 16384, 22


def frame(message: str) -> bytes:
    """As RFC 5425 sends it: its length before it."""
    content = message.encode()
    return b"%d %s" % (len(content), content)


def undelivered(frames: list[bytes], outstanding: int) -> int:
    """How many of these frames, the last ones that were sent, are not acknowledged, when so many bytes of the connection are not."""
    count = 0
    while count < len(frames) and outstanding > 0:
        count += 1
        size = len(frames[-count])
        outstanding -= size + OVERHEAD * -(-size // RECORD)
    return count


class Siem:
    """A connection, made again and again until all is delivered."""

    def __init__(self, address: str, port: int, peer: str, folder: Path) -> None:
        self._where, self._peer, self._folder = (address, port), peer, folder
        self._link: ssl.SSLSocket | None = None
        self._said = ""

    def deliver(self, frames: list[bytes]) -> None:
        """Come back when all are delivered, however long that takes: rsyslog keeps what is behind them."""
        while frames:
            try:
                link = self._link or self._connected()
            except OSError as error:
                self._say(f"cannot reach the SIEM: {error}")
                time.sleep(AGAIN_SECONDS)
                continue
            frames = self._sent(link, frames)

    def _connected(self) -> ssl.SSLSocket:
        # Read anew each time: a renewed certificate is taken without a restart.
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(self._folder / "ca.pem"))
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(self._folder / "certificate.pem", self._folder / "key.pem")
        plain = socket.create_connection(self._where, CONNECT_SECONDS)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNHEARD_MILLISECONDS)
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            self._link = context.wrap_socket(plain, server_hostname=self._peer)
        except OSError:
            plain.close()
            raise
        self._say("")
        return self._link

    def _sent(self, link: ssl.SSLSocket, frames: list[bytes]) -> list[bytes]:
        """Those that were not delivered: none, or the connection is lost."""
        sent = 0
        try:
            self._hear(link)
            for one in frames:
                sent += 1
                link.settimeout(UNHEARD_MILLISECONDS / 1000)
                link.sendall(one)
            while outstanding(link):
                self._hear(link)
                time.sleep(0.001)
        except OSError as error:
            self._say(f"connection to the SIEM is lost: {error}")
            rest = undelivered(frames[:sent], outstanding(link))
            self._link = None
            link.close()
            return frames[sent - rest :]
        return []

    def _hear(self, link: ssl.SSLSocket) -> None:
        """Raises OSError when the other side has gone; it says nothing else."""
        link.settimeout(0)
        with suppress(ssl.SSLWantReadError):
            while True:
                if not link.recv(4096):
                    raise ConnectionResetError("closed by the SIEM")

    def _say(self, problem: str) -> None:
        """To the journal, once for each change."""
        if problem != self._said:
            self._said = problem
            handover.report(problem or "SIEM reached again")


def outstanding(link: socket.socket) -> int:
    """Bytes of a connection that the other side has not acknowledged."""
    found = array.array("i", [0])
    fcntl.ioctl(link, termios.TIOCOUTQ, found)
    return found[0]


def main(form: str, host: str, *where: str) -> None:
    """Take batches from rsyslog; `where`: address, port, name and folder, as above."""
    address, port, peer, folder = where
    siem = Siem(address, int(port), peer, Path(folder))

    def deliver(lines: list[str]) -> str:
        siem.deliver([frame(forms.message(form, host, line)) for line in lines])
        return ""

    handover.serve(deliver)


if __name__ == "__main__":
    main(*sys.argv[1:])
