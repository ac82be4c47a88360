"""Bytes from a PC to lines of text, without ever failing."""

from __future__ import annotations


def lines(data: bytes) -> list[str]:
    """Lines of UTF-8, as pyinfra's own SSH connector gives them: a carriage return stays. What is not UTF-8 becomes U+FFFD."""
    return data.decode(errors="replace").removesuffix("\n").split("\n") if data else []


def said(error: Exception) -> str:
    """The text of an exception, or its kind: a line that ends has nothing to say."""
    return str(error) or repr(error)


def windows_lines(data: bytes) -> list[str]:
    """Lines of a Windows program, without carriage returns. Messages of wsl.exe, in UTF-16LE, are told from others by their NULs."""
    return lines(b"\n".join(_narrow(line).removesuffix(b"\r") for line in _split(data)))


def _split(data: bytes) -> list[bytes]:
    return data.replace(b"\r\x00\n\x00", b"\n").replace(b"\n\x00", b"\n").split(b"\n")


def _narrow(line: bytes) -> bytes:
    if b"\x00" not in line:
        return line
    return line.decode("utf-16-le", errors="replace").encode()
