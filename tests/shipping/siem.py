"""Double of a SIEM: takes RFC 5424 over RFC 5425, TLS 1.3 alone, from who shows a certificate of its authority; refuses what is not that.

It answers nothing, as the originals do. `forms.py` judges what the messages say.
"""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from citadelle import certificates

NAME, CLIENT = "siem.example", "srv1"
# RFC 5424, 6: header, one element of structured data, a body of printable ASCII.
MESSAGE = re.compile(
    rb"<(?P<pri>\d{1,3})>1 (?P<ts>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z) (?P<host>[!-~]{1,255}) (?P<app>[!-~]{1,48}) "
    rb"(?P<proc>[!-~]{1,128}) (?P<msgid>[!-~]{1,32}) "
    rb"\[(?P<sd>(?:audit|event)@32473(?: [!#-<>-\\^-~]{1,32}=\"(?:[^\"\\\]]|\\[\"\\\]])*\")*)\] (?P<body>[ -~]+)"
)


@dataclass
class Siem:
    """What has come, message by message; what was refused, and why."""

    folder: Path
    address: str
    port: int = 0
    messages: list[bytes] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    versions: set[str] = field(default_factory=set)
    newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
    _listener: socket.socket | None = None
    _open: list[socket.socket] = field(default_factory=list)

    def start(self) -> None:
        """Listen; on the port that it had before."""
        self._listener = socket.create_server((self.address, self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def stop(self) -> None:
        """Gone: nobody listens, and who was connected is cut off."""
        if self._listener:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._open.clear()

    def records(self) -> list[int]:
        """Numbers of the records that came, in order, anchors left out."""
        lines = [message for message in list(self.messages) if b'event="anchor"' not in message]
        return [int(line.split(b'seq="')[1].split(b'"')[0]) for line in lines]

    def _accept(self, listener: socket.socket) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = context.maximum_version = self.newest
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(self.folder / "ca.pem")
        context.load_cert_chain(self.folder / f"{NAME}.pem", self.folder / f"{NAME}.key")
        with suppress(OSError):
            while True:
                plain, _ = listener.accept()
                threading.Thread(target=self._serve, args=(context, plain), daemon=True).start()

    def _serve(self, context: ssl.SSLContext, plain: socket.socket) -> None:
        try:
            with context.wrap_socket(plain, server_side=True) as secure:
                self._open.append(secure)
                self.versions.add(secure.version() or "")
                self._take(secure)
        except (OSError, ValueError) as error:
            self.refused.append(repr(error))

    def _take(self, secure: ssl.SSLSocket) -> None:
        kept = b""
        while piece := secure.recv(1 << 16):
            kept += piece
            while (space := kept.find(b" ")) > 0:
                size = int(kept[:space])
                if len(kept) < space + 1 + size:
                    break
                message, kept = kept[space + 1 : space + 1 + size], kept[space + 1 + size :]
                if MESSAGE.fullmatch(message) is None:
                    raise ValueError(f"not a message of RFC 5424: {message[:200]!r}")
                self.messages.append(message)


@contextmanager
def siem(folder: Path, address: str = "127.0.0.1") -> Iterator[Siem]:
    """A double, with certificates for itself and a client in `folder`."""
    certificates.make(folder, NAME, [NAME])
    certificates.make(folder, CLIENT, [CLIENT], client=True)
    double = Siem(folder, address)
    double.start()
    try:
        yield double
    finally:
        double.stop()
