"""Lines to the receiver of the audit and its answers, in the same order.

What is said within one turn of the loop goes out in one piece, the first line at once where nobody else waits for an answer; what
comes in one piece is answered in one turn; what nobody waits for goes along behind the next thing that somebody waits for. To wake the
receiver costs both sides more than all that is said.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

import orjson

Said = dict[str, Any]
Answered = Callable[[Said], None]
_SWEEP_SECONDS = 0.5
_LATER_SECONDS = 0.01
_LOST = {"error": "ConnectionError"}
_OK, _DONE = {"ok": 0}, b'{"ok": 0}'  # nearly every other answer


class Link(asyncio.Protocol):
    """One connection. An answer that takes longer than `seconds` is an error for who waits for it; the connection stays."""

    seconds = 3.0

    def __init__(self, loop: asyncio.AbstractEventLoop, lost: Callable[[], None]) -> None:
        self._loop, self._on_lost = loop, lost
        self._transport: asyncio.Transport
        self._out: list[tuple[bytes, Answered]] = []
        self._behind: list[tuple[bytes, Answered]] = []  # what nobody waits for
        self._soon = False  # whether they go out with this turn of the loop
        self._waiting = 0  # for an answer
        self._later: asyncio.TimerHandle | None = None
        self._rest = b""
        self._asked: deque[tuple[float, Answered]] = deque()
        self._sweeper: asyncio.TimerHandle | None = None
        self._open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._open = True

    def connection_lost(self, exc: Exception | None) -> None:
        self._open = False
        self._on_lost()
        for timer in (self._sweeper, self._later):
            if timer:
                timer.cancel()
        lost = [*(answered for _, answered in self._asked), *(answered for _, answered in self._out + self._behind)]
        self._asked.clear()
        self._out, self._behind = [], []
        for answered in lost:
            answered(_LOST)

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            _, answered = self._asked.popleft()
            answered(_OK if line == _DONE else orjson.loads(line))

    def ask(self, line: bytes) -> asyncio.Future[Said]:
        """Say a line, ended by a line feed, at once; its answer is to be awaited."""
        answer: asyncio.Future[Said] = self._loop.create_future()

        def answered(said: Said) -> None:
            self._waiting -= 1
            if not answer.done():
                answer.set_result(said)

        self._waiting += 1
        if not self._open:
            answered(_LOST)
            return answer
        self._out.append((line, answered))
        if self._waiting == 1:
            self.flush()
        elif not self._soon:
            self._soon = True
            self._loop.call_soon(self.flush)
        return answer

    def tell(self, line: bytes, answered: Answered) -> None:
        """Say a line a little later; `answered` gets the answer, or `{"error": ...}`, once."""
        if not self._open:
            answered(_LOST)
            return
        self._behind.append((line, answered))
        if self._later is None:
            self._later = self._loop.call_later(_LATER_SECONDS, self._late)

    def flush(self) -> None:
        """Say now what is still to be said."""
        said, now = self._out + self._behind, self._loop.time()
        self._soon, self._out, self._behind = False, [], []
        if said and self._open:
            self._asked.extend([(now, answered) for _, answered in said])
            self._transport.write(b"".join([line for line, _ in said]))
            if self._sweeper is None:
                self._sweeper = self._loop.call_later(_SWEEP_SECONDS, self._sweep)

    def close(self) -> None:
        """End the connection, after what was said."""
        self.flush()
        self._transport.close()

    def _late(self) -> None:
        self._later = None
        self.flush()

    def _sweep(self) -> None:
        """Whoever has waited too long gets an error; the answer, when it comes, is nobody's."""
        limit = self._loop.time() - self.seconds
        for place, (since, answered) in enumerate(list(self._asked)):
            if since <= limit:
                self._asked[place] = (float("inf"), _nobody)
                answered({"error": "TimeoutError"})
        self._sweeper = self._loop.call_later(_SWEEP_SECONDS, self._sweep) if self._asked else None


def _nobody(_said: Said) -> None:
    pass
