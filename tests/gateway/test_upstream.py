"""A connection towards the engine serves one request after the other, and none after bytes that belong to no answer."""

import asyncio
from unittest.mock import Mock

import pytest
from gateway.upstream import Connection

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


@pytest.mark.parametrize("after", [b"", b"H", b"HTTP/1.1 200 OK\r\n", ANSWER, b"{}", b"\xff"])
@pytest.mark.parametrize("later", [False, True])
def test_what_comes_after_an_answer_spoils_the_connection(after: bytes, later: bool) -> None:
    async def scenario() -> None:
        connection = Connection(asyncio.get_running_loop())
        connection.connection_made(Mock())
        for _ in range(3):
            asked = asyncio.ensure_future(connection.ask(b""))
            await asyncio.sleep(0)
            connection.data_received(ANSWER)
            await asked
            assert await connection.read() == b"{}"
            assert await connection.read() == b""
            assert connection.reusable
        asked = asyncio.ensure_future(connection.ask(b""))
        await asyncio.sleep(0)
        for piece in (ANSWER, after) if later else (ANSWER + after,):
            connection.data_received(piece)
        await asked
        await connection.read()
        assert connection.reusable == (after == b"")

    asyncio.run(scenario())
