"""A remote program kept open over one SSH channel: bytes in, blocks of bytes out, with a deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress

from citadelle.connectors.ssh import ERRORS, Connection, Unreachable
from citadelle.connectors.text import said

BLOCK = 1 << 17
CUT = (
    "connection cut during a command: it may have been carried out or not\n"
    "hint: run again when the PC answers: what is right by then is left alone"
)


class NotSent(Unreachable):
    """The line broke before a whole command had gone out: nothing of it is carried out."""


class _Bell:
    """Rung by paramiko for both streams. It clears the event of a stream it has emptied: here that would lose the other one's ring."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        self._event.set()

    def clear(self) -> None:
        pass

    def is_set(self) -> bool:
        return self._event.is_set()

    def wait(self, seconds: float | None) -> bool:
        rung = self._event.wait(seconds)
        self._event.clear()
        return rung


class Process:
    """A program on the PC with its stdin open. Output of both streams arrives in order of each stream."""

    def __init__(self, connection: Connection, command: str):
        self._channel = connection.channel()
        self._bell = _Bell()
        self._channel.in_buffer.set_event(self._bell)  # type: ignore[arg-type]  # stands in for threading.Event
        self._channel.in_stderr_buffer.set_event(self._bell)  # type: ignore[arg-type]
        self._ended: set[str] = set()
        try:
            self._channel.exec_command(command)
        except ERRORS as error:
            raise Unreachable(f"connection lost while starting a program: {said(error)}") from error

    def write(self, data: bytes) -> None:
        """Send to stdin. Raises `NotSent` when the program or the line is gone."""
        try:
            self._channel.sendall(data)
        except ERRORS as error:
            self.close()
            raise NotSent(f"connection lost while sending: {said(error)}") from error

    def blocks(self, seconds: float | None) -> Iterator[tuple[str, bytes]]:
        """Blocks `(stream, bytes)` as they arrive; empty bytes end a stream, the iterator ends with both.

        Raises `TimeoutError` after `seconds`.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        while len(self._ended) < 2:
            found = list(self._drain())
            yield from found
            if found:
                continue
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError
            self._bell.wait(left)

    def _drain(self) -> Iterator[tuple[str, bytes]]:
        channel = self._channel
        is_over = channel.eof_received or channel.closed
        for name, ready, receive in (
            ("stdout", channel.recv_ready, channel.recv),
            ("stderr", channel.recv_stderr_ready, channel.recv_stderr),
        ):
            if ready():
                yield name, receive(BLOCK)
            elif is_over and name not in self._ended:
                self._ended.add(name)
                yield name, b""

    @property
    def exit_code(self) -> int:
        """Exit code after the streams ended; -1 when the line broke before the program could tell."""
        self._channel.status_event.wait(5)
        return self._channel.exit_status

    @property
    def alive(self) -> bool:
        """Whether the channel is open in both directions."""
        channel = self._channel
        transport = channel.get_transport()
        return not (channel.closed or channel.eof_received) and transport is not None and transport.is_active()

    def close(self) -> None:
        """Close the channel; the remote program sees its stdin end."""
        with suppress(*ERRORS):  # over a line that is gone nothing can be said
            self._channel.close()
