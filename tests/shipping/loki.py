"""Double of Loki's push: takes what Loki takes, and keeps it as Loki does: streams by their labels, each line of a moment once.

Its rules are those that a genuine Loki 3.7.8 with the configuration of `compose/loki` has shown (tests/live/test_loki.py asks both): what
is no push is refused as a whole; of a push, streams with too many labels and lines that are too old, too new or too far behind are left
out, and all else is kept, although the answer is 400; a line that is too long is cut.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
LABELS, LINE_BYTES = 8, 65536  # compose/loki/loki.yaml
# On a host, in the place of the container; and what else a test of shipping leaves there.
START = "systemd-run --quiet --unit loki-double python3 -I -B /root/loki.py 3100"
STOP = (
    "systemctl disable --quiet --now citadelle-logs; systemctl stop loki-double"
    "; rm -rf /var/lib/citadelle/logs /etc/citadelle/logs /var/lib/node_exporter/textfile/citadelle_logs.prom"
)
HOUR = 3600 * 10**9
OLDEST, NEWEST = 168 * HOUR, HOUR // 6  # reject_old_samples_max_age there; creation_grace_period as Loki has it
Key = tuple[tuple[str, str], ...]
Streams = dict[Key, dict[tuple[int, str], None]]


@dataclass
class Loki:
    """What is kept, what was refused, how many pushes came; `broken` answers every push with that status; `clock`: nanoseconds."""

    port: int = 0
    streams: Streams = field(default_factory=dict)
    newest: dict[Key, int] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    pushes: int = 0
    broken: int = 0
    clock: Callable[[], int] = time.time_ns

    def push(self, body: Any) -> int:
        """The status of the answer. Raises ValueError or KeyError for what Loki refuses as a whole."""
        for stream in body["streams"]:
            if not stream["stream"] or not all(LABEL.fullmatch(name) for name in stream["stream"]):
                raise ValueError(f"labels: {stream['stream']}")
            for moment, _ in stream["values"]:
                if not isinstance(moment, str) or not moment.isdecimal():
                    raise ValueError(f"not nanoseconds: {moment!r}")
        before, now = len(self.refused), self.clock()
        for stream in body["streams"]:
            self._stream({name: value for name, value in stream["stream"].items() if value}, stream["values"], now)
        return 422 if not body["streams"] else 204 if len(self.refused) == before else 400

    def _stream(self, labels: dict[str, str], values: list[list[str]], now: int) -> None:
        if len(labels) > LABELS:
            self.refused.append(f"{len(labels)} labels")
            return
        key = tuple(sorted(labels.items()))
        kept, newest = self.streams.setdefault(key, {}), self.newest.get(key, 0)
        for moment, line in values:
            when = int(moment)
            if not now - OLDEST <= when <= now + NEWEST:
                self.refused.append("too old" if when < now else "too new")
            elif when < newest - HOUR:
                self.refused.append("too far behind")
            else:
                kept[when, line.encode()[:LINE_BYTES].decode(errors="ignore")] = None
                newest = max(newest, when)
        self.newest[key] = newest

    def lines(self, **labels: str) -> list[str]:
        """Lines of all streams with these labels, by their time."""
        found = [entry for key, kept in self.streams.items() if labels.items() <= dict(key).items() for entry in kept]
        return [line for _, line in sorted(found)]


def handler(loki: Loki) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = gzip.decompress(self.rfile.read(int(self.headers["Content-Length"])))
            loki.pushes += 1
            status = loki.broken or 204
            try:
                if self.path != "/loki/api/v1/push" or self.headers["Content-Type"] != "application/json":
                    raise ValueError(self.path)
                if not loki.broken:
                    status = loki.push(json.loads(body))
            except (ValueError, KeyError) as error:
                loki.refused.append(repr(error))
                status = 400
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            """What a test asks from outside: all that is kept, and what was refused."""
            kept = [[dict(key), [line for _, line in sorted(entries)]] for key, entries in loki.streams.items()]
            body = json.dumps({"streams": kept, "refused": loki.refused}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def loki(port: int = 0) -> Iterator[Loki]:
    """A double that listens on loopback."""
    found = Loki()
    server = ThreadingHTTPServer(("127.0.0.1", port), handler(found))
    server.daemon_threads = True
    found.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()


if __name__ == "__main__":  # inside a lab PC, in the place of the container
    with loki(int(sys.argv[1])):
        threading.Event().wait()
