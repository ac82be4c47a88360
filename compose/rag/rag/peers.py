"""Who may speak to the service: the kernel says whose process a connection is from, so a file's mode is not all that decides."""

import asyncio
import os
import socket
import struct
import sys
from collections.abc import Iterable

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid: unix(7), SO_PEERCRED


def uid_of(connection: socket.socket) -> int:
    """The user id of the process at the other end, as it was when it connected."""
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(found)[1])


def protocol(allowed: Iterable[int]) -> type[HttpToolsProtocol]:
    """The server's protocol, for processes of these users and of its own; any other's connection ends before a byte of it is read."""
    known = frozenset(allowed) | {os.getuid()}

    class Known(HttpToolsProtocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            uid = uid_of(transport.get_extra_info("socket"))
            if uid in known:
                super().connection_made(transport)
                return
            print(f"rag: connection refused: of user {uid}", file=sys.stderr)
            self.data_received = self.connection_lost = lambda *_: None  # type: ignore[method-assign, assignment]
            transport.abort()

    return Known
