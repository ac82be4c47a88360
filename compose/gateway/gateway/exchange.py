"""One request and all that is known about it besides its content."""

import itertools
import os
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any

from gateway import ollama, openai, wire
from gateway.audit import Opening
from gateway.counted import Counted
from gateway.keys import Key
from gateway.limits import NOTHING, Use

_START, _NUMBERS = os.urandom(4).hex(), itertools.count(1)
GONE = 499  # the status of a request whose client left
Api = openai.Api | ollama.Api


@dataclass
class Exchange:
    """The two ends of a request, and the metadata that the log gets. Times are of the monotonic clock, in seconds."""

    scope: wire.Scope
    receive: wire.Receive
    send: wire.Send
    api: Api
    headers: wire.Headers
    began: float = field(default_factory=time.monotonic)
    route: str = "none"
    key: Key | None = None
    status: int = 0
    code: str | None = None
    stream: bool = False
    bytes_in: int = 0
    bytes_out: int = 0
    answered: bool = False  # the engine has begun to answer: from here on it costs
    first: float | None = None  # when the first byte of an answer went out
    counted: Counted = field(default_factory=Counted)
    used: Use = NOTHING
    model: str | None = None
    passages: bool = False
    opening: Opening | None = None  # of its record
    id: str = field(
        default_factory=lambda: f"{_START}{next(_NUMBERS):08x}"
    )  # of no other request, of no other start either

    def sending(self, message: wire.Message) -> Awaitable[None]:
        """Count, and send."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif body := message["body"]:
            if self.first is None:
                self.first = time.monotonic()
            self.bytes_out += len(body)
        return self.send(message)

    @property
    def holder(self) -> str | None:
        """The id of the key."""
        return self.key.id if self.key else None

    @property
    def seconds(self) -> float:
        """Since the request began."""
        return time.monotonic() - self.began

    @property
    def milliseconds(self) -> int:
        """The same, for log and audit."""
        return round(self.seconds * 1000)

    def beginning(self) -> dict[str, Any]:
        """What the audit gets before the engine is asked."""
        return {
            "id": self.id, "key": self.holder, "groups": list(self.key.groups) if self.key else [], "route": self.route,
            "model": self.model, "bytes_in": self.bytes_in,
        }  # fmt: skip

    def record(self) -> dict[str, Any]:
        """What the audit gets when the request is over."""
        record = self.beginning()
        record |= {
            "stream": self.stream, "status": self.status, "code": self.code, "cancelled": self.status == GONE, "bytes_out": self.bytes_out,
            "counted": self.used.requests, "prompt_tokens": self.used.tokens_in, "completion_tokens": self.used.tokens_out,
            "ttft_ms": None if self.first is None else round((self.first - self.began) * 1000), "ms": self.milliseconds,
            "passages": self.passages,
        }  # fmt: skip
        return record
