"""Text of console programs: CRLF and the OEM code page of Western Europe, as on redirected streams."""

import os

OEM = "cp850"


def _write(handle: int, data: bytes) -> None:
    while data:
        data = data[os.write(handle, data) :]


def encode(text: str, encoding: str = OEM) -> bytes:
    """Bytes as a console program writes them: `\\n` becomes CRLF, what the code page lacks becomes `?`."""
    return text.replace("\r\n", "\n").replace("\n", "\r\n").encode(encoding, "replace")


def out(text: str, encoding: str = OEM) -> None:
    """Writes one line to standard output."""
    _write(1, encode(text + "\n", encoding))


def err(text: str, encoding: str = OEM) -> None:
    """Writes one line to standard error."""
    _write(2, encode(text + "\n", encoding))
