"""The engine's stream on its way to the client: whole events, filtered, in the form of the client's API."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import orjson

from gateway.counted import Counted
from gateway.engine import engine_failed
from gateway.output import STOPPED, Output
from gateway.upstream import FAILURES, Connection

_END = b"\n\n"
_EVENT_BYTES = 1 << 20


class Writer(Protocol):
    """How a stream looks in the client's API."""

    def event(self, raw: bytes, chunk: dict[str, Any], changed: bool) -> bytes: ...
    def usage(self, raw: bytes) -> bytes: ...
    def beat(self) -> bytes: ...
    def end(self, counted: Counted) -> bytes: ...


class Relay:
    """One stream. `done` once the engine has said its last; `cut` when the filter ended it: nothing more is to be read then."""

    def __init__(self, writer: Writer, output: Output, counted: Counted) -> None:
        self._writer, self._output, self._counted = writer, output, counted
        self._rest, self._last, self.done = b"", {}, False  # type: bytes, dict[str, Any], bool

    @property
    def cut(self) -> bool:
        """Whether the filter has ended the answer."""
        return self._output.stopped

    def beat(self) -> bytes:
        """A sign of life in the client's API, or nothing where it has none."""
        return self._writer.beat()

    async def run(self, answer: Connection, send: Callable[[bytes], Awaitable[None]]) -> None:
        """Pass on what comes, up to the end or to where the filter cuts. Raise Refusal (502)."""
        while True:
            try:
                data = await answer.read()
            except FAILURES:
                raise engine_failed() from None
            if not data:
                return
            if ready := self.feed(data):
                await send(ready)
            if self.cut:
                return

    def feed(self, data: bytes) -> bytes:
        """What goes to the client for what came from the engine, cut wherever the network cut it. Raise Refusal (502)."""
        *events, self._rest = (self._rest + data if self._rest else data).split(_END)
        if len(self._rest) > _EVENT_BYTES:
            raise engine_failed()
        out = b""
        for event in events:
            if not self.done:
                out += self._event(event)
        return out

    def finish(self) -> bytes:
        """The end of the stream. Raise Refusal (502) when the engine has not said that it was the end."""
        if not self.done:
            raise engine_failed()
        left = {} if self.cut else self._output.rest()
        owed = b""
        if left:
            chunk = self._last | {"choices": [{"index": 0, "delta": left, "finish_reason": None}]}
            owed = self._writer.event(b"", chunk, True)
        return owed + self._writer.end(self._counted)

    def _event(self, event: bytes) -> bytes:
        if event[:7] != b"data: {":  # nearly always it is
            if event.startswith(b":"):
                return self._writer.beat()
            if event.removeprefix(b"data:").strip() == b"[DONE]":
                self.done = True
                return b""
        try:
            return self._chunk(event, orjson.loads(event[5:] if event[:5] == b"data:" else event))
        except (orjson.JSONDecodeError, AttributeError, TypeError, KeyError, IndexError):
            raise engine_failed() from None  # its own words may quote the prompt

    def _chunk(self, event: bytes, chunk: dict[str, Any]) -> bytes:
        if "error" in chunk:
            raise engine_failed()
        if chunk.get("usage"):
            self._counted.read(chunk)
        if "choices" not in chunk or not (choices := chunk["choices"]):
            return self._writer.usage(event)
        changed, output = False, self._output
        for choice in choices:
            if output.delta(choice):
                changed = True
        self._counted.events += 1
        self._last = chunk
        if output.stopped:
            self.done = True
            for choice in choices:
                choice["finish_reason"] = STOPPED
        return self._writer.event(event, chunk, changed)
