"""An answer on its way to a client's connection: uvicorn's cycle of request and answer, with less work for each message.

The head of an answer goes out with its first piece, in one write, as ASGI asks. Headers are the gateway's own, in lower case.
"""

from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from gateway.wire import Fields, Message


class Cycle(RequestResponseCycle):
    """One request and its answer."""

    _head = b""

    async def send(self, message: Message) -> None:  # type: ignore[override]
        """For ASGI."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if message["type"] == "http.response.start":
            self._start(message["status"], message["headers"])
        else:
            self._body(message["body"], message.get("more_body", False))

    def _start(self, status: int, headers: Fields) -> None:
        if self.response_started:
            raise RuntimeError("an answer has begun already")
        self.response_started, self.waiting_for_100_continue = True, False
        fields = [*self.default_headers, *headers]
        for name, value in headers:
            if name == b"content-length":
                self.chunked_encoding, self.expected_content_length = False, int(value)
            elif name == b"connection":
                self.keep_alive = False
        if not self.keep_alive and (b"connection", b"close") not in headers:
            fields.append((b"connection", b"close"))
        if self.chunked_encoding is None and self.scope["method"] != "HEAD" and status not in (204, 304):
            self.chunked_encoding = True
            fields.append((b"transfer-encoding", b"chunked"))
        self._head = _joined(STATUS_LINE[status], fields)

    def _body(self, body: bytes, more: bool) -> None:
        if not self.response_started or self.response_complete:
            raise RuntimeError("no answer to add to")
        if self.scope["method"] == "HEAD":
            data, self.expected_content_length = b"", 0
        elif self.chunked_encoding:
            data = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            data = data if more else data + b"0\r\n\r\n"
        else:
            data, self.expected_content_length = body, self.expected_content_length - len(body)
        if self.expected_content_length and (not more or self.expected_content_length < 0):
            raise RuntimeError("the answer is not as long as was said")
        self.transport.write(self._head + data if self._head else data)
        self._head = b""
        if not more:
            self._complete()

    def _complete(self) -> None:
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()


def _joined(status: bytes, fields: list[tuple[bytes, bytes]]) -> bytes:
    lines: list[Any] = [b"%b: %b\r\n" % field for field in fields]
    head = b"".join([status, *lines, b"\r\n"])
    if head.count(b"\n") != len(fields) + 2 or head.count(b"\r") != len(fields) + 2:
        raise RuntimeError("a line break in a header")
    return head
