"""Streams of a plain PowerShell 7 made those of 5.1: OEM code page in, CRLF out, CLIXML for errors of an encoded command."""

import os
import re
import select
import threading
from typing import Any

from . import job, powershell, streams

COLOUR = re.compile(rb"\x1b\[[0-9;]*m")
MARK = b"#< CLIXML"
PAUSE = 0.02
HEAD = '#< CLIXML\r\n<Objs Version="1.1.0.1" xmlns="http://schemas.microsoft.com/powershell/2004/04">'
BARE_END = re.compile(rb"(?<!_x000D_)_x000A_")  # a line end inside CLIXML as 7 writes it here; 5.1 writes CRLF
UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f]|_(?=x[0-9A-Fa-f]{4}_)")


def _send(handle: int, data: bytes) -> None:
    while data:
        data = data[os.write(handle, data) :]


def _pump_in(to: int, first: bytes, is_plain: bool) -> None:
    """Standard input: what the double adds, then the client's bytes as they arrive."""
    try:
        _send(to, first)
        while data := os.read(0, 65536):
            _send(to, data.decode(streams.OEM).encode() if is_plain else data)
    except OSError:
        pass
    finally:
        os.close(to)


class LineEnds:
    """Turns `\\n` into CRLF across the borders of reads."""

    def __init__(self) -> None:
        self.last = b""

    def convert(self, data: bytes) -> bytes:
        """The next bytes, converted."""
        out = re.sub(rb"(?<!\r)\n", b"\r\n", self.last + data)[len(self.last) :]
        self.last = data[-1:] if data[-1:] == b"\r" else b""
        return out


def _pump_out(source: int, to: int) -> None:
    ends = LineEnds()
    while data := os.read(source, 65536):
        try:
            _send(to, ends.convert(data))
        except OSError:
            break
    os.close(source)


def escape(text: str) -> str:
    """Text inside a CLIXML string."""
    out = UNSAFE.sub(lambda found: f"_x{ord(found[0]):04X}_", text)
    return out.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _text(line: bytes) -> str:
    """A line of the engine itself, or of a program, in the OEM code page."""
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode(streams.OEM)


def clixml(lines: bytes) -> bytes:
    """Error text as 5.1 writes it for an encoded command: one document, one string for each line."""
    text = "\n".join(map(_text, COLOUR.sub(b"", lines).replace(b"\r\n", b"\n").split(b"\n")))
    if not text:
        return b""
    parts = (escape(line + "\r\n") for line in text.removesuffix("\n").split("\n"))
    body = "".join(f'<S S="Error">{part}</S>' for part in parts)
    return (HEAD + body + "</Objs>").encode(streams.OEM, "xmlcharrefreplace")


def _pump_text(source: int) -> None:
    """Errors of a plain command: text without colours."""
    ends = LineEnds()
    while data := os.read(source, 65536):
        _send(2, ends.convert(COLOUR.sub(b"", data)))
    os.close(source)


def _xml_ends(data: bytes) -> bytes:
    return BARE_END.sub(b"_x000D__x000A_", data)


def _pump_xml(source: int) -> None:
    """Errors of an encoded command: CLIXML passes on with 5.1's line ends; text becomes a document of CLIXML when a pause follows it."""
    held, is_xml, ends = b"", False, LineEnds()

    def rest() -> bytes:
        return ends.convert(_xml_ends(held)) if is_xml else clixml(held)

    while True:
        if held.endswith(b"\n") and not select.select([source], [], [], PAUSE)[0]:
            _send(2, rest())
            held = b""
        if not (data := os.read(source, 65536)):
            break
        held += data
        is_xml = is_xml or held.startswith(MARK)
        cut = held.rfind(b">") + 1 if is_xml else 0  # no escaped line end reaches across an element's border
        _send(2, ends.convert(_xml_ends(held[:cut])))
        held = held[cut:]
    _send(2, rest())
    os.close(source)


def run(engine: Any, line: list[str], environment: dict[str, str], wanted: Any) -> int:
    """Starts the engine between relays; gives its exit code."""
    parent = os.getppid()
    (in_r, in_w), (out_r, out_w), (err_r, err_w) = os.pipe(), os.pipe(), os.pipe()

    def become() -> None:
        for ours, theirs in ((in_r, 0), (out_w, 1), (err_w, 2)):
            os.dup2(ours, theirs)
        os.execve(engine.path, [engine.path, *line], environment)

    pid = job.start(become)
    for handle in (in_r, out_w, err_w):
        os.close(handle)
    first = (powershell.preamble(engine.is_plain) + "\n").encode() if wanted.kind == "stdin" else b""
    threading.Thread(target=_pump_in, args=(in_w, first, engine.is_plain), daemon=True).start()
    wants_xml = engine.is_plain and wanted.kind == "encoded"
    pumps = [
        threading.Thread(target=_pump_out, args=(out_r, 1), daemon=True),
        threading.Thread(target=_pump_xml if wants_xml else _pump_text, args=(err_r,), daemon=True),
    ]
    for pump in pumps:
        pump.start()
    code = job.wait(pid, parent)
    for pump in pumps:
        pump.join(timeout=5)
    return code
