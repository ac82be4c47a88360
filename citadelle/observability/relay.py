"""The way out for alerts: from Alertmanager's container to the receivers that the settings name, and to nobody else.

Runs alone on a host (standard library, Python 3.10 or newer), as a service without rights. Its two sockets come from systemd: the
first speaks CONNECT of HTTP/1.1, for what goes over TLS; the second passes bytes on to the one mail server. Names are looked up here,
since the container knows none. What passes is encrypted to the receiver: the relay sees whom, never what.

relay.py CONFIG, a file {"connect": ["host:port", ...], "smtp": "host:port" or ""}; it is read anew for each connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

PROGRAM = "/usr/local/lib/citadelle/relay.py"
CONFIG = "/etc/citadelle/observability/relay.json"
CONNECT_SECONDS, IDLE_SECONDS, AT_ONCE, HEAD_BYTES, PIECE = 10, 60, 32, 8192, 65536
_TARGET = re.compile(rb"CONNECT ([A-Za-z0-9.:\[\]-]{1,260}) HTTP/1\.[01]\r\n")
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Relay:
    """What listens. `config` says where one may go."""

    def __init__(self, config: Path) -> None:
        self._config, self._under_way = config, 0

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A client that names its target."""
        await self._served((reader, writer), self._named)

    async def smtp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A client of the mail server."""
        await self._served((reader, writer), self._mail)

    async def _served(self, client: Streams, serve: Callable[[Streams], Awaitable[None]]) -> None:
        self._under_way += 1
        try:
            if self._under_way > AT_ONCE:
                say("refused: too many at once")
                return
            # Who goes, or says nothing for too long, is no matter of the others.
            with contextlib.suppress(OSError, asyncio.TimeoutError, asyncio.IncompleteReadError):
                await serve(client)
        finally:
            self._under_way -= 1
            client[1].close()

    async def _named(self, client: Streams) -> None:
        target = await self._target(*client)
        if target:
            await self._pass(target, client, greeting=b"HTTP/1.1 200 OK\r\n\r\n")

    async def _mail(self, client: Streams) -> None:
        target = self._allowed()["smtp"]
        if target:
            await self._pass(target, client)
        else:
            say("refused: no mail server is set")

    def _allowed(self) -> dict:
        return json.loads(self._config.read_text())

    async def _target(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        """`host:port`, if one may go there; otherwise the client has been told."""
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), CONNECT_SECONDS)
        except asyncio.LimitOverrunError:
            head = b""
        found = _TARGET.match(head)
        if found is None:
            writer.write(b"HTTP/1.1 405 Only CONNECT\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            return ""
        target = found[1].decode().lower()
        if target not in self._allowed()["connect"]:
            say(f"refused: {target}")
            writer.write(b"HTTP/1.1 403 Nobody may go there\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            return ""
        return target

    async def _pass(self, target: str, client: Streams, greeting: bytes = b"") -> None:
        host, _, port = target.rpartition(":")
        try:
            opening = asyncio.open_connection(host.strip("[]"), int(port), limit=PIECE)
            server = await asyncio.wait_for(opening, CONNECT_SECONDS)
        except (TimeoutError, OSError) as error:
            say(f"unreachable: {target}: {error or type(error).__name__}")
            if greeting:
                client[1].write(b"HTTP/1.1 502 Unreachable\r\nContent-Length: 0\r\n\r\n")
                await client[1].drain()
            return
        client[1].write(greeting)
        try:
            await asyncio.gather(copy(client[0], server[1]), copy(server[0], client[1]))
        finally:
            server[1].close()


async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Until the source ends, or says nothing for too long."""
    while piece := await asyncio.wait_for(source.read(PIECE), IDLE_SECONDS):
        sink.write(piece)
        await sink.drain()
    if sink.can_write_eof():
        sink.write_eof()


def say(text: str) -> None:
    """To the journal: names of machines, never more."""
    print(text, flush=True)


async def serve(config: Path, sockets: list[socket.socket]) -> None:
    """Until told to stop: `sockets` for CONNECT and for mail."""
    relay = Relay(config)
    servers = [
        await asyncio.start_server(handle, sock=one, limit=HEAD_BYTES)
        for handle, one in zip((relay.connect, relay.smtp), sockets, strict=True)
    ]
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), [socket.socket(fileno=3), socket.socket(fileno=4)]))
