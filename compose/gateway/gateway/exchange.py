"""One request and all that is known about it besides its content."""

import time
from dataclasses import dataclass, field

from gateway import wire
from gateway.keys import Key
from gateway.relay import Counted


@dataclass
class Exchange:
    """The two ends of a request, and the metadata that the log gets. Times are of the monotonic clock, in seconds."""

    scope: wire.Scope
    receive: wire.Receive
    send: wire.Send
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

    async def sending(self, message: wire.Message) -> None:
        """Send, and count."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
        body = message.get("body", b"")
        if body and self.first is None:
            self.first = time.monotonic()
        self.bytes_out += len(body)
        await self.send(message)

    @property
    def holder(self) -> str | None:
        """The id of the key."""
        return self.key.id if self.key else None

    @property
    def milliseconds(self) -> int:
        """Since the request began."""
        return round((time.monotonic() - self.began) * 1000)
