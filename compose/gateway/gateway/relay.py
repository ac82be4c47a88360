"""The engine's stream on its way to the client: whole events, filtered, in the form of the client's API."""

from typing import Any, Protocol

import orjson

from gateway.counted import Counted
from gateway.engine import engine_failed
from gateway.output import STOPPED, Output

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

    def feed(self, data: bytes) -> bytes:
        """What goes to the client for what came from the engine, cut wherever the network cut it. Raise Refusal (502)."""
        events = (self._rest + data).split(_END)
        self._rest = events.pop()
        if len(self._rest) > _EVENT_BYTES:
            raise engine_failed()
        return b"".join([self._event(event) for event in events if not self.done])

    def finish(self) -> bytes:
        """The end of the stream. Raise Refusal (502) when the engine has not said that it was the end."""
        if not self.done:
            raise engine_failed()
        left = {} if self._output.stopped else self._output.rest()
        owed = b""
        if left:
            chunk = self._last | {"choices": [{"index": 0, "delta": left, "finish_reason": None}]}
            owed = self._writer.event(b"", chunk, True)
        return owed + self._writer.end(self._counted)

    def _event(self, event: bytes) -> bytes:
        if event.startswith(b":"):
            return self._writer.beat()
        payload = event.removeprefix(b"data:").strip()
        if payload == b"[DONE]":
            self.done = True
            return b""
        try:
            chunk = orjson.loads(payload)
            return self._chunk(event, chunk)
        except (orjson.JSONDecodeError, AttributeError, TypeError, KeyError, IndexError):
            raise engine_failed() from None  # its own words may quote the prompt

    def _chunk(self, event: bytes, chunk: dict[str, Any]) -> bytes:
        if "error" in chunk:
            raise engine_failed()
        if chunk.get("usage"):
            self._counted.read(chunk)
        if not (choices := chunk.get("choices")):
            return self._writer.usage(event)
        changed = False
        for choice in choices:
            changed |= self._output.delta(choice)
        self._counted.events += 1
        self._last = chunk
        if self._output.stopped:
            self.done = True
            for choice in choices:
                choice["finish_reason"] = STOPPED
        return self._writer.event(event, chunk, changed)
