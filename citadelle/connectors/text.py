"""Bytes from a PC to lines of text, without ever failing."""

from __future__ import annotations


def lines(data: bytes) -> list[str]:
    """Decode and split. Lines of UTF-16LE (messages of wsl.exe) are told from others by their NULs; carriage returns are dropped."""
    if not data:
        return []
    text = b"\n".join(_narrow(line) for line in _split(data)).decode(errors="replace")
    return [line.rstrip("\r") for line in text.removesuffix("\n").split("\n")]


def _split(data: bytes) -> list[bytes]:
    return data.replace(b"\r\x00\n\x00", b"\n").replace(b"\n\x00", b"\n").split(b"\n")


def _narrow(line: bytes) -> bytes:
    if b"\x00" not in line:
        return line
    return line.decode("utf-16-le", errors="replace").encode()
