"""A stream towards the client, with signs of life while the engine is silent."""

import asyncio
from collections.abc import Awaitable

from gateway import wire
from gateway.exchange import Exchange
from gateway.relay import Relay

_STREAM_HEADERS = [(b"x-accel-buffering", b"no")]


class Beats:
    """The stream towards the client: begun by the engine's first word, or before it by a sign of life."""

    def __init__(self, exchange: Exchange, relay: Relay, seconds: int) -> None:
        self._exchange, self._relay, self._seconds = exchange, relay, seconds
        self._task: asyncio.Task[None] | None = None
        self._quiet = True

    async def __aenter__(self) -> "Beats":
        if self._seconds:
            self._task = asyncio.create_task(self._beat())
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def start(self) -> None:
        """Send the head, once."""
        if self._exchange.status == 0:
            await wire.start(self._exchange.sending, 200, self._exchange.api.kind, _STREAM_HEADERS)

    def send(self, data: bytes) -> Awaitable[None]:
        """Send a part of the answer."""
        self._quiet = False
        return self._exchange.sending({"type": "http.response.body", "body": data, "more_body": True})

    async def _beat(self) -> None:
        while True:
            self._quiet = True
            await asyncio.sleep(self._seconds)
            if self._quiet and (sign := self._relay.beat()):
                await self.start()
                await self._exchange.sending({"type": "http.response.body", "body": sign, "more_body": True})
