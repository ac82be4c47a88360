"""Where a request ends is read in one way or not at all: what two readers could cut differently is refused, with what follows it."""

import asyncio
import re

import pytest

from .conftest import KEY, MODEL, Run, Stack
from .test_server import closed

BODY = b'{"model":"' + MODEL.encode() + b'","messages":[{"role":"user","content":"hi"}]}'
HEAD = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Type: application/json\r\n"
HIDDEN = f"GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nConnection: close\r\n\r\n".encode()
SIZE, HEX = len(BODY), b"%x" % len(BODY)
LENGTH, CHUNKED = f"Content-Length: {SIZE}\r\n", "Transfer-Encoding: chunked\r\n"
END = b"\r\n0\r\n\r\n"


def request(fields: str, body: bytes = BODY) -> bytes:
    return f"{HEAD}{fields}\r\n".encode("latin-1") + body


def chunks(first: bytes, body: bytes = BODY, end: bytes = END) -> bytes:
    return request(CHUNKED, first + b"\r\n" + body + end)


WHOLE = HEX + b"\r\n" + BODY + END
REFUSED = {
    "length and chunks": request(LENGTH + CHUNKED, WHOLE),
    "chunks and length": request(CHUNKED + "Content-Length: 4\r\n", WHOLE),
    "two lengths": request(LENGTH + "Content-Length: 3\r\n"),
    "one length twice": request(LENGTH + LENGTH),
    "a list of lengths": request(f"Content-Length: {SIZE}, {SIZE}\r\n"),
    "a length with a sign": request(f"Content-Length: +{SIZE}\r\n"),
    "a negative length": request("Content-Length: -1\r\n"),
    "a length in hexadecimal": request("Content-Length: 0x10\r\n"),
    "an empty length": request("Content-Length: \r\n"),
    "a length beyond all": request(f"Content-Length: {'9' * 30}\r\n"),
    "a blank before the colon": request(f"Content-Length : {SIZE}\r\n"),
    "a blank before the colon of chunks": request(f"Transfer-Encoding : chunked\r\n{LENGTH}"),
    "another coding": request("Transfer-Encoding: xchunked\r\n", WHOLE),
    "chunks, then another coding": request("Transfer-Encoding: chunked, identity\r\n", WHOLE),
    "two codings": request(CHUNKED + "Transfer-Encoding: identity\r\n", WHOLE),
    "chunks twice": request(CHUNKED + CHUNKED, WHOLE),
    "chunks in quotes": request('Transfer-Encoding: "chunked"\r\n', WHOLE),
    "chunks behind a strange blank": request("Transfer-Encoding: \x0bchunked\r\n", WHOLE),
    "chunks on the next line": request("Transfer-Encoding:\r\n chunked\r\n", WHOLE),
    "a folded header": request(f"X: a\r\n b\r\n{LENGTH}"),
    "lines without a return": request(LENGTH).replace(b"\r\n", b"\n"),
    "a return without a line": request(f"X: a\rContent-Length: 0\r\n{LENGTH}"),
    "a zero in a header": request(f"X: a\0b\r\n{LENGTH}"),
    "a chunk's size without a return": chunks(HEX).replace(HEX + b"\r\n", HEX + b"\n"),
    "a line in a chunk's extension": chunks(HEX + b";a=\nb"),
    "a chunk's size with a prefix": chunks(b"0x" + HEX),
    "a chunk's size with a sign": chunks(b"+" + HEX),
    "a blank behind a chunk's size": chunks(HEX + b" "),
    "a chunk's size below zero": chunks(b"-1"),
    "a chunk's size beyond all": chunks(b"f" * 17),
    "a chunk that is longer than it says": chunks(b"%x" % (SIZE - 3)),
    "a chunk without its end": chunks(HEX, end=b"0\r\n\r\n"),
    "a length after the chunks": chunks(HEX, end=b"\r\n0\r\nContent-Length: 5\r\n\r\n"),
    "chunks after the chunks": chunks(HEX, end=b"\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n"),
}
READ = {
    "a length": request(LENGTH),
    "blanks around a length": request(f"Content-Length:  {SIZE} \r\n"),
    "chunks": request(CHUNKED, WHOLE),
    "chunks in capitals": request("transfer-ENCODING: ChUnKeD\r\n", WHOLE),
    "a chunk for each byte": request(CHUNKED, b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n\r\n"),
    "a chunk's extension": chunks(HEX + b";a=b"),
    "zeros before a chunk's size": chunks(b"000000000" + HEX),
    "lines before the request": b"\r\n\r\n" + request(LENGTH),
    "a length by another name": request(f"Content_Length: 3\r\n{LENGTH}"),
}


def statuses(answers: bytes) -> list[bytes]:
    return re.findall(rb"HTTP/1\.1 (\d+) ", answers)


async def in_pieces(port: int, data: bytes) -> bytes:
    """What comes for bytes that arrive a few at a time."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for start in range(0, len(data), 7):
        writer.write(data[start : start + 7])
        await asyncio.sleep(0)
    answers = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    return answers


@pytest.mark.parametrize("form", REFUSED)
def test_what_can_be_cut_in_two_ways_is_refused_with_all_that_follows(run: Run, form: str) -> None:
    async def scenario(stack: Stack) -> None:
        assert statuses(await closed(stack.port, REFUSED[form] + HIDDEN)) == [b"400"]
        assert stack.engine.requests == []
        assert (await stack.ask())[0] == 200

    run(scenario)


def test_what_can_be_cut_in_one_way_is_read_and_so_is_what_follows(run: Run) -> None:
    async def scenario(stack: Stack) -> None:
        for form, data in READ.items():
            assert statuses(await closed(stack.port, data + HIDDEN)) == [b"200", b"200"], form
            assert statuses(await in_pieces(stack.port, data + HIDDEN)) == [b"200", b"200"], form
        assert len(stack.engine.requests) == 2 * len(READ)
        assert {one["messages"][1]["content"] for one in stack.engine.requests} == {"hi"}

    run(scenario)
