"""The relay passes on what goes to a named receiver and nothing else: over real sockets, with bytes that come back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from citadelle.observability import relay

Talk = Callable[[int, int], Awaitable[None]]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A receiver: gives back what it gets, in capitals, until there is no more."""
    while piece := await reader.read(1000):
        writer.write(piece.upper())
        await writer.drain()
    writer.close()


def with_relay(config: Path, talk: Talk) -> None:
    """Run `talk` beside a relay; it gets the ports for CONNECT and for mail."""

    async def run() -> None:
        listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        ports = [one.getsockname()[1] for one in listeners]
        serving = asyncio.create_task(relay.serve(config, listeners))
        await asyncio.wait_for(talk(*ports), 20)
        serving.cancel()

    asyncio.run(run())


async def ask(port: int, *pieces: bytes) -> bytes:
    """What comes back to a client that says all this and then no more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
    writer.write_eof()
    found = b""
    with contextlib.suppress(ConnectionResetError):  # so it ends for who is not heard at all
        while piece := await reader.read(1000):
            found += piece
    writer.close()
    return found


def connect(target: str) -> bytes:
    return f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode()


def test_only_named_receivers_are_reached(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "relay.json"

    async def talk(port: int, mail: int) -> None:
        async with await asyncio.start_server(echo, "127.0.0.1", 0) as receiver:
            there = f"127.0.0.1:{receiver.sockets[0].getsockname()[1]}"
            config.write_text(json.dumps({"connect": [there, "127.0.0.1:1"], "smtp": there}))
            assert await ask(port, connect(there), b"secret") == b"HTTP/1.1 200 OK\r\n\r\nSECRET"
            assert await ask(port, connect(there) + b"secret") == b"HTTP/1.1 200 OK\r\n\r\nSECRET"
            assert await ask(mail, b"ehlo x") == b"EHLO X"
            for target in ("localhost:22", "127.0.0.1:22", "127.0.0.1", f"{there}.example", "[::1]:443"):
                assert (await ask(port, connect(target))).startswith(b"HTTP/1.1 403 "), target
            wrong = (
                f"GET http://{there}/ HTTP/1.1\r\n\r\n",
                f"POST / HTTP/1.1\r\nX: CONNECT {there} HTTP/1.1\r\n\r\n",
                "x" * 9000,
            )
            for head in (*wrong, "CONNECT a b HTTP/1.1\r\n\r\n", "CONNECT \x00:1 HTTP/1.1\r\n\r\n"):
                assert (await ask(port, head.encode())).startswith(b"HTTP/1.1 405 "), head[:40]
            assert (await ask(port, connect("127.0.0.1:1"))).startswith(b"HTTP/1.1 502 ")
            config.write_text(json.dumps({"connect": [], "smtp": ""}))
            assert (await ask(port, connect(there))).startswith(b"HTTP/1.1 403 ")
            assert await ask(mail, b"ehlo x") == b""

    with_relay(config, talk)
    said = capsys.readouterr().out
    assert "refused: localhost:22" in said
    assert "unreachable: 127.0.0.1:1" in said
    assert "refused: no mail server is set" in said
    assert "secret" not in said.lower()


def test_not_more_than_so_many_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "AT_ONCE", 2)
    config = tmp_path / "relay.json"

    async def talk(port: int, _mail: int) -> None:
        async with await asyncio.start_server(echo, "127.0.0.1", 0) as receiver:
            there = f"127.0.0.1:{receiver.sockets[0].getsockname()[1]}"
            config.write_text(json.dumps({"connect": [there], "smtp": ""}))
            held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
            for reader, writer in held:
                writer.write(connect(there))
                assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
            assert b"200" not in await ask(port, connect(there))
            for _, writer in held:
                writer.close()

    with_relay(config, talk)
