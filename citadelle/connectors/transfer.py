"""Files to and from a PC: SFTP without waiting for each block, judged by SHA-256, in place only when right."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, Protocol

from citadelle.connectors.ssh import ERRORS, Channel, SFTPClient
from citadelle.connectors.text import said

BLOCK = 1 << 18
READ_AHEAD = 64


class Side(Protocol):
    """What a transfer needs of a host; every method raises OSError with the host's own words."""

    def sftp(self) -> SFTPClient:
        """An SFTP session that sees the host's files."""

    def remote(self, path: str) -> str:
        """`path` as SFTP writes it."""

    def create(self, path: str) -> str:
        """Make an empty file that only its owner can read, for the content of `path`; returns its own path."""

    def digest(self, path: str) -> str:
        """SHA-256 of a file, in hex."""

    def place(self, part: str, path: str) -> None:
        """Rename `part` to `path`, with the mode and owner that `path` had."""

    def forget(self, part: str) -> None:
        """Remove `part` if it is there."""


def open_sftp(channel: Channel) -> SFTPClient:
    """SFTP over a channel whose server is already asked for."""
    return SFTPClient(channel)


def _pump(read: Callable[[int], bytes], write: Callable[[bytes], Any]) -> str:
    digest = sha256()
    while block := read(BLOCK):
        block = block if isinstance(block, bytes) else str(block).encode()
        digest.update(block)
        write(block)
    return digest.hexdigest()


def upload(side: Side, source: IO[Any], path: str) -> None:
    """Send `source` to `path`. Raises OSError; then `path` is what it was before."""
    part = ""
    try:
        # Created for its owner's eyes only: a secret is never readable, not even while it arrives.
        part = side.create(path)
        with side.sftp() as sftp, sftp.open(side.remote(part), "r+b") as target:
            target.set_pipelined(True)
            sent = _pump(source.read, target.write)
        _same(path, side.digest(part), sent)
        side.place(part, path)
    except ERRORS as error:
        # Where the line is gone, the part stays: it is its owner's alone, and the next upload uses another name.
        with suppress(OSError, TimeoutError):
            if part:
                side.forget(part)
        raise OSError(f"upload failed: {path}: {said(error)}") from error


def download(side: Side, path: str, target: Any) -> None:
    """Fetch `path` into a local path or an open file. Raises OSError; a local path is then what it was before."""
    try:
        expected = side.digest(path)
        with _whole(target) as file:
            _fetch(side, path, file, expected)
    except ERRORS as error:
        raise OSError(f"download failed: {path}: {said(error)}") from error


@contextmanager
def _whole(target: Any) -> Iterator[Any]:
    """An open file: the given one, or one that becomes the path `target` when nothing was raised."""
    if not isinstance(target, str | Path):
        yield target
        return
    part = Path(f"{target}.part")
    try:
        with part.open("wb") as file:
            yield file
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def _fetch(side: Side, path: str, file: Any, expected: str) -> None:
    with side.sftp() as sftp, sftp.open(side.remote(path), "rb") as source:
        source.prefetch(max_concurrent_requests=READ_AHEAD)
        got = _pump(source.read, file.write)
    _same(path, got, expected)


def _same(path: str, arrived: str, sent: str) -> None:
    if arrived != sent:
        # SFTP's writes are not waited for one by one, so a full disk is seen here at the latest.
        raise OSError(
            f"file arrived damaged: {path}: sha256 {arrived}, expected {sent}\n"
            "hint: is the disk that receives it full? make room there, then run again"
        )
