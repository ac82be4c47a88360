"""A stand-in for the engine that costs next to nothing, so that what is measured is the way there and back: `python engine.py PORT`.

A chat is answered whole, or streamed: `max_tokens` events, one every `seed` milliseconds (0: all at once). `GET /open` says how many
streams are under way; any other GET lists the model.
"""

import asyncio
import json
import sys

import uvloop

ANSWER = (
    b'{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"finish_reason":"stop","message":'
    b'{"role":"assistant","content":"The capital of France is Paris."}}],'
    b'"usage":{"prompt_tokens":30,"completion_tokens":8,"total_tokens":38}}'
)
_HEAD = b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":['
EVENT = _HEAD + b'{"index":0,"delta":{"content":"word "},"finish_reason":null}]}\n\n'
LAST = (
    _HEAD + b'{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    + _HEAD + b'],"usage":{"prompt_tokens":30,"completion_tokens":100,"total_tokens":130}}\n\ndata: [DONE]\n\n'
)  # fmt: skip
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
MODELS = b'{"object":"list","data":[{"id":"m","object":"model"}]}'


def whole(body: bytes) -> bytes:
    """An answer of JSON."""
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def chunk(data: bytes) -> bytes:
    """A part of a stream."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class Peer(asyncio.Protocol):
    """One connection."""

    streams = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """For asyncio."""
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._data, self._task = b"", None  # type: bytes, asyncio.Task[None] | None

    def connection_lost(self, exc: Exception | None) -> None:
        """Who leaves ends his stream."""
        if self._task:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        """Answer every whole request."""
        self._data += data
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            head = self._data[:end].lower()
            declared = head.partition(b"content-length:")[2].split(b"\r\n")[0]
            size = end + 4 + int(declared or 0)
            if len(self._data) < size:
                return
            body, self._data = self._data[end + 4 : size], self._data[size:]
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"get /open"):
            self._transport.write(whole(b"%d" % Peer.streams))
        elif head.startswith(b"get "):
            self._transport.write(whole(MODELS))
        elif b'"stream":true' not in body.replace(b" ", b""):
            self._transport.write(whole(ANSWER))
        else:
            asked = json.loads(body)
            self._task = asyncio.ensure_future(self._stream(asked["max_tokens"], asked["seed"] / 1000))

    async def _stream(self, events: int, pause: float) -> None:
        Peer.streams += 1
        try:
            self._transport.write(STREAM)
            if not pause:
                self._transport.write(chunk(EVENT) * events)
            for _ in range(events if pause else 0):
                self._transport.write(chunk(EVENT))
                await asyncio.sleep(pause)
            self._transport.write(chunk(LAST) + b"0\r\n\r\n")
        finally:
            Peer.streams -= 1


async def main(port: int) -> None:
    """Serve until ended."""
    server = await asyncio.get_running_loop().create_server(Peer, "127.0.0.1", port, backlog=512)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
