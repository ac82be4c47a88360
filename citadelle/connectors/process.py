"""A remote program kept open over one SSH channel: bytes in, lines out, with a deadline."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator

from citadelle.connectors.ssh import Connection, Unreachable

BLOCK = 1 << 15


class Process:
    """A program on the PC with its stdin open. Output of both streams arrives in order of each stream, as blocks of bytes."""

    def __init__(self, connection: Connection, command: str):
        self._channel = connection.channel()
        self._queue: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self._channel.exec_command(command)
        for name, receive in (("stdout", self._channel.recv), ("stderr", self._channel.recv_stderr)):
            threading.Thread(target=self._read, args=(name, receive), daemon=True).start()

    def _read(self, name: str, receive: object) -> None:
        while True:
            try:
                block = receive(BLOCK)  # type: ignore[operator]
            except (OSError, EOFError):
                block = b""
            self._queue.put((name, block))
            if not block:
                return

    def write(self, data: bytes) -> None:
        """Send to stdin. Raises `Unreachable` when the program or the line is gone."""
        try:
            self._channel.sendall(data)
        except OSError as error:
            raise Unreachable(f"connection lost while sending: {error}") from error

    def blocks(self, seconds: float | None) -> Iterator[tuple[str, bytes]]:
        """Blocks `(stream, bytes)` as they arrive; empty bytes end a stream. Raises `TimeoutError` after `seconds`."""
        deadline = None if seconds is None else time.monotonic() + seconds
        while True:
            left = None if deadline is None else deadline - time.monotonic()
            try:
                yield self._queue.get(timeout=left if left is None else max(left, 0.001))
            except queue.Empty:
                raise TimeoutError from None

    @property
    def exit_code(self) -> int:
        """Exit code after the streams ended; -1 when the line broke before the program could tell."""
        self._channel.status_event.wait(5)
        return self._channel.exit_status

    @property
    def alive(self) -> bool:
        """Whether the channel is open in both directions."""
        transport = self._channel.get_transport()
        return (
            not self._channel.closed
            and not self._channel.eof_received
            and transport is not None
            and transport.is_active()
        )

    def close(self) -> None:
        """Close the channel; the remote program sees its stdin end."""
        self._channel.close()
