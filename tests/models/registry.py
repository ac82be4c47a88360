"""A faulty double of a model registry, in a process of its own: `python -m tests.models.registry STORE CONTROL [UPSTREAM]`.

It serves a store's manifests and blobs as registries do: `/v2/<namespace>/<model>/manifests/<tag or digest>` and `/blobs/<digest>`, with
ranges. CONTROL is a folder: `fault.json` there says how it misbehaves (read at each request), `log` gets one line of JSON per request.
Faults: `mode` "plain" (a distribution registry: blobs directly, manifests by digest too) or "redirect" (as Ollama's: blobs by a redirect
to another path, no manifest by digest); `fault`: see FAULTS; `on`: "manifests", "blobs" or "cdn"; `times`: how many answers it spoils;
`least`: only files of so many bytes.
With UPSTREAM, the address of a genuine registry, it is a front of that, as Ollama's is one: blobs are a redirect to another path, behind
which it passes on the genuine answers. `sent` in CONTROL gets one line per answer about a blob: its digest and the bytes of the body.
The genuine docker-registry is held against the same expectations in test_genuine_registry.py.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
import ssl
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

STORE, CONTROL = (Path(argument) for argument in [*sys.argv, "", ""][1:3])
UPSTREAM = "".join(sys.argv[3:4])
LOCK = threading.Lock()
spoiled: dict[str, int] = {}


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.told = json.loads((CONTROL / "fault.json").read_text())
        with LOCK, (CONTROL / "log").open("a") as log:
            log.write(json.dumps({"path": self.path, "headers": dict(self.headers)}) + "\n")
        found = re.fullmatch(r"(/cdn)?/v2/([\w./-]+)/(manifests|blobs)/([\w.:-]+)(\?.*)?", self.path)
        if not found:
            return self.answer(404)
        cdn, name, kind, reference, _ = found.groups()
        spoil = self.is_large(name, kind, reference) and self.spoil("cdn" if cdn else kind)
        if spoil:
            return FAULTS[spoil](self, name, kind, reference)
        return self.serve(cdn, name, kind, reference)

    def is_large(self, *what: str) -> bool:
        least = self.told.get("least", 0)
        return not least or len(_body(self, *what)) >= least

    def spoil(self, place: str) -> str:
        fault = self.told.get("fault", "")
        with LOCK:
            count = spoiled.get(self.told.get("id", ""), 0)
            if not fault or self.told.get("on", "blobs") != place or count >= self.told.get("times", 10**9):
                return ""
            spoiled[self.told.get("id", "")] = count + 1
        return fault

    def serve(self, cdn: str | None, name: str, kind: str, reference: str) -> None:
        is_plain = self.told.get("mode", "plain") == "plain" and not UPSTREAM
        if kind == "blobs" and not is_plain and not cdn:
            return self.answer(
                307, {"Location": f"http://localhost:{self.server.server_port}/cdn{self.path}?signature=secret"}
            )
        if UPSTREAM:
            return self.relay(self.path.removeprefix("/cdn").partition("?")[0])
        body = self.content(name, kind, reference, by_digest=is_plain)
        return self.answer(404) if body is None else self.send(body)

    def relay(self, path: str) -> None:
        """The genuine answer to this very request."""
        asked = {name: value for name in ("Range", "Accept") if (value := self.headers.get(name))}
        request = urllib.request.Request(UPSTREAM + path, headers=asked, method=self.command)
        try:
            with urllib.request.urlopen(request, timeout=10) as theirs:
                names = ("Content-Type", "Content-Range", "Content-Length")
                headers = {name: value for name in names if (value := theirs.headers.get(name))}
                self.answer(theirs.status, headers, theirs.read())
        except urllib.error.HTTPError as error:
            self.answer(error.code)

    def content(self, name: str, kind: str, reference: str, *, by_digest: bool) -> bytes | None:
        if UPSTREAM:
            return upstream(f"/v2/{name}/{kind}/{reference}")
        if kind == "blobs":
            path = STORE / "blobs" / reference.replace(":", "-")
            return path.read_bytes() if path.is_file() else None
        for path in (STORE / "manifests").rglob("*"):
            if path.is_file() and str(path.parent).endswith(f"/{name}"):
                raw = path.read_bytes()
                if path.name == reference or (by_digest and f"sha256:{hashlib.sha256(raw).hexdigest()}" == reference):
                    return raw
        return None

    def bounds(self, size: int) -> tuple[int, int]:
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        return (int(found[1]), min(int(found[2]) + 1, size)) if found else (0, size)

    def send(self, body: bytes, *, total: int | None = None, shift: int = 0) -> None:
        start, end = self.bounds(len(body))
        is_part = "Range" in self.headers
        part = f"bytes {start + shift}-{end - 1 + shift}/{len(body) if total is None else total}"
        headers = {"Content-Length": str(end - start)} | ({"Content-Range": part} if is_part else {})
        self.answer(206 if is_part else 200, headers, body[start:end])

    def answer(self, code: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        self.send_response(code)
        for name, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
            self.note(len(body))

    def note(self, size: int) -> None:
        """How much of a blob has gone out."""
        if found := re.search(r"/blobs/(sha256:\w+)", self.path):
            with LOCK, (CONTROL / "sent").open("a") as file:
                file.write(f"{found[1]} {size}\n")

    def log_message(self, *_: Any) -> None:
        """The log is the one of CONTROL."""


@functools.cache
def upstream(path: str) -> bytes | None:
    """All of a genuine file, for an answer that is to be spoiled."""
    try:
        with urllib.request.urlopen(UPSTREAM + path, timeout=10) as theirs:
            return bytes(theirs.read())
    except urllib.error.HTTPError:
        return None


def _body(handler: Handler, name: str, kind: str, reference: str) -> bytes:
    return handler.content(name, kind, reference, by_digest=True) or b""


def wrong(handler: Handler, *what: str) -> None:
    body = bytearray(_body(handler, *what))
    body[len(body) // 2] ^= 1
    handler.send(bytes(body))


def short(handler: Handler, *what: str) -> None:
    """Break off in the middle of what was promised."""
    body = _body(handler, *what)
    start, end = handler.bounds(len(body))
    part = f"bytes {start}-{end - 1}/{len(body)}"
    handler.answer(206, {"Content-Length": str(end - start), "Content-Range": part}, body[start : (start + end) // 2])
    handler.close_connection = True


def endless(handler: Handler, *what: str) -> None:
    """More than the file, without saying how much."""
    body = _body(handler, *what)
    handler.answer(200, {"Content-Length": "", "Connection": "close"}, body + b"more")
    handler.close_connection = True


def whole(handler: Handler, *what: str) -> None:
    """Ranges are not understood."""
    handler.answer(200, {}, _body(handler, *what))


def stuck(handler: Handler, *what: str) -> None:
    """A few bytes, then nothing until the fault is taken back."""
    body = _body(handler, *what)
    start, end = handler.bounds(len(body))
    count = min(end - start - 1, handler.told.get("after", 10))
    part = f"bytes {start}-{end - 1}/{len(body)}"
    handler.answer(206, {"Content-Length": str(end - start), "Content-Range": part}, body[start : start + count])
    handler.wfile.flush()
    wait_for_another(handler.told)
    handler.close_connection = True


def trickle(handler: Handler, *what: str) -> None:
    """A byte now and then: never quite nothing."""
    body = _body(handler, *what)
    start, end = handler.bounds(len(body))
    part = f"bytes {start}-{end - 1}/{len(body)}"
    handler.answer(206, {"Content-Length": str(end - start), "Content-Range": part})
    pause = threading.Event()
    try:
        for index in range(start, end):
            handler.wfile.write(body[index : index + 1])
            pause.wait(0.02)
    except OSError:
        handler.close_connection = True


def wait_for_another(told: dict[str, Any]) -> None:
    pause = threading.Event()
    while json.loads((CONTROL / "fault.json").read_text()) == told:
        pause.wait(0.02)


def drop(handler: Handler, *_: str) -> None:
    handler.close_connection = True


def redirect(location: str) -> Callable[..., None]:
    return lambda handler, *_: handler.answer(307, {"Location": location or handler.path})


def status(code: int, **headers: str) -> Callable[..., None]:
    return lambda handler, *_: handler.answer(code, {name.replace("_", "-"): value for name, value in headers.items()})


def page(handler: Handler, *_: str) -> None:
    handler.answer(200, {"Content-Type": "text/html; charset=utf-8"}, b"<html>Sign in to the guest network</html>")


FAULTS: dict[str, Callable[..., None]] = {
    "wrong": wrong,
    "short": short,
    "endless": endless,
    "whole": whole,
    "stuck": stuck,
    "trickle": trickle,
    "drop": drop,
    "page": page,
    "smaller": lambda handler, *what: handler.send(_body(handler, *what), total=7),
    "shifted": lambda handler, *what: handler.send(_body(handler, *what), shift=1),
    "compressed": lambda handler, *what: handler.answer(200, {"Content-Encoding": "gzip"}, b"x"),
    "loop": redirect(""),
    "to a file": redirect("file:///etc/passwd"),
    "with a password": redirect("http://user:canary@127.0.0.1/x"),
    "to nowhere": status(307),
    "large": lambda handler, *_: handler.answer(200, {}, b"x" * (2 << 20)),
    **{str(code): status(code) for code in (401, 403, 404, 416, 418, 500, 503)},
    "429": status(429, Retry_After="0"),
}


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if (CONTROL / "tls.pem").exists():  # key and certificate: https, with redirects that lead away from it
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(CONTROL / "tls.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()  # until whoever started it goes
