"""A stand-in for a registry that wants a token from everybody, as Docker Hub and ghcr.io do; tests/lab/test_images.py has a genuine one."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

INDEX = "application/vnd.oci.image.index.v1+json"
PART = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": f"sha256:{'1' * 64}", "size": 1}


def index(*platforms: str, note: str = "") -> bytes:
    """An image index of these platforms."""
    parts = [PART | {"platform": dict(zip(("os", "architecture"), one.split("/"), strict=True))} for one in platforms]
    return json.dumps(
        {"schemaVersion": 2, "mediaType": INDEX, "manifests": parts, "annotations": {"note": note}}
    ).encode()


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass
class Double:
    """`tags`: `path:tag` -> content; `told`: what it says instead, by `path:reference`; `asked`: paths with the token that came."""

    host: str = ""
    tags: dict[str, bytes] = field(default_factory=dict)
    told: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    realm: str = ""

    def push(self, name: str, content: bytes) -> str:
        """Serve it under a tag; gives its digest."""
        self.tags[name] = content
        return digest(content)

    def answer(self, path: str, authorization: str) -> tuple[int, dict[str, str], bytes]:
        self.asked.append((path, authorization))
        if path.startswith("/token?"):
            return 200, {}, json.dumps({"token": f"for {path.partition('scope=')[2]}"}).encode()
        name, _, reference = path.removeprefix("/v2/").rpartition("/manifests/")
        if f"{name}:{reference}" in self.told:
            return self.told[f"{name}:{reference}"]
        if authorization != f"Bearer for repository%3A{name.replace('/', '%2F')}%3Apull":
            challenge = f'Bearer realm="{self.realm or f"http://{self.host}/token"}",service="double"'
            return 401, {"WWW-Authenticate": challenge}, b"{}"
        found = [content for tag, content in self.tags.items() if tag.partition(":")[0] == name]
        match = self.tags.get(f"{name}:{reference}") or next((one for one in found if digest(one) == reference), None)
        return (200, {"Content-Type": INDEX}, match) if match else (404, {}, b"{}")


@contextmanager
def serving() -> Iterator[Double]:
    double = Double()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            code, headers, body = double.answer(self.path, self.headers.get("Authorization", ""))
            self.send_response(code)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        double.host = f"127.0.0.1:{server.server_port}"
        try:
            yield double
        finally:
            server.shutdown()
            thread.join()
