"""The engine's answer on its way to the client: bytes in, bytes out. What it says about tokens is read in passing."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from gateway.engine import FAILURES, engine_failed

_END = b"\n\n"
_USAGE = b'"usage"'  # as a key only: within a text of JSON its quotes would be escaped
_EVENT_BYTES = 1 << 20


@dataclass
class Counted:
    """What the engine said it used; without its word, how many events it sent."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    events: int = 0

    def read(self, answer: Any) -> None:
        """Take the usage of an answer, or of the event that carries it."""
        usage = answer.get("usage") if isinstance(answer, dict) else None
        if isinstance(usage, dict):
            self.prompt_tokens = _count(usage.get("prompt_tokens"))
            self.completion_tokens = _count(usage.get("completion_tokens"))


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


@dataclass
class Events:
    """A stream of server-sent events. `show_usage`: whether the client asked for the event that the gateway always asks for."""

    show_usage: bool
    counted: Counted
    _rest: bytes = field(default=b"")

    async def through(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Whole events, as they come. Raise Refusal (502) when the engine breaks off."""
        try:
            async for chunk in chunks:
                if ready := self._whole(chunk):
                    yield ready
        except FAILURES:
            raise engine_failed() from None
        if self._rest:
            yield self._rest

    def _whole(self, chunk: bytes) -> bytes:
        data = self._rest + chunk if self._rest else chunk
        end = data.rfind(_END) + len(_END)
        if end < len(_END):
            end = 0
        ready, self._rest = data[:end], data[end:]
        if len(self._rest) > _EVENT_BYTES:
            raise engine_failed()
        self.counted.events += ready.count(_END)
        return self._without_usage(ready) if _USAGE in ready else ready

    def _without_usage(self, ready: bytes) -> bytes:
        return b"".join(event + _END for event in ready.split(_END)[:-1] if not self._is_usage_alone(event))

    def _is_usage_alone(self, event: bytes) -> bool:
        if _USAGE not in event:
            return False
        try:
            answer = orjson.loads(event.removeprefix(b"data:"))
        except orjson.JSONDecodeError:
            return False
        self.counted.read(answer)
        return not self.show_usage and isinstance(answer, dict) and answer.get("choices") == []
