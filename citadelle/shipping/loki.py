"""Brings lines of logs to Loki, as rsyslog hands them over: a batch is there, or it comes again.

Runs alone on a host (standard library, Python 3.10 or newer): loki.py URL HOST. rsyslog's own omhttp does the same, but no Debian
that is stable today has it. A line is JSON: {"t": RFC 3339, "tag", "container", "unit", "level", "line"}.

Loki's rules (grafana.com/docs/loki/latest/reference/loki-http-api): few labels of few values, lines of a stream by their time, a
nanosecond as text. A line that has come already, of the same stream, time and text, is stored once: a batch may come twice.
"""

from __future__ import annotations

import gzip
import http.client
import json
import re
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

if not __package__:  # run as a file, on a host as in the checkout
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from citadelle.shipping import handover

PROGRAM = "/usr/local/lib/citadelle/shipping/loki.py"
LINE_BYTES, SECONDS = 60_000, 30  # Loki's own limit of a line is set to 64 KB
Lines = dict[tuple[tuple[str, str], ...], list[list[str]]]
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)  # noqa: UP017  Python 3.10
_TS, _SEQ = re.compile(r'"ts":"([0-9T:-]{19}\.\d{3}Z)"'), re.compile(r'"(?:seq|record)":(\d+)')
_CONTAINER = re.compile(r"citadelle/citadelle-([a-z]+)-\d+")


def labels(entry: dict[str, Any], host: str) -> tuple[tuple[str, str], ...]:
    """Which stream: whose line it is and how bad, never what is in it."""
    found = {"host": host, "level": entry.get("level") or "info"}
    if entry.get("tag") == "audit":
        found |= {"job": "audit", "service": "gateway", "level": "info"}
    elif entry.get("tag") == "windows":
        found |= {"job": "windows", "service": "windows", "level": "info"}
    elif container := _CONTAINER.fullmatch(entry.get("container") or ""):
        found |= {"job": "stack", "service": container[1]}
    else:
        found |= {"job": "host", "service": (entry.get("unit") or "unknown").removesuffix(".service")}
    return tuple(sorted(found.items()))


def nanoseconds(entry: dict[str, Any]) -> str:
    """When: an audit record and an event of Windows say so themselves, to the millisecond; its number orders those of one millisecond."""
    moment, number = entry["t"], 0
    if entry.get("tag") in {"audit", "windows"}:
        if own := _TS.search(entry["line"]):
            moment = own[1]
        if own := _SEQ.search(entry["line"]):
            number = int(own[1]) % 1_000_000
    since = datetime.fromisoformat(moment.replace("Z", "+00:00")) - _EPOCH
    return str(since // timedelta(microseconds=1) * 1000 + number)


def body(lines: list[str], host: str) -> tuple[bytes, int]:
    """What Loki's push takes, and how many lines are no entry and left out: they could never arrive."""
    streams: Lines = {}
    left_out = 0
    for line in lines:
        try:
            entry = json.loads(line)
            moment, text = nanoseconds(entry), entry["line"].encode(errors="replace")
        except (ValueError, KeyError, TypeError, AttributeError):
            left_out += 1
            continue
        shown = text if len(text) <= LINE_BYTES else text[:LINE_BYTES] + b" [cut]"
        streams.setdefault(labels(entry, host), []).append([moment, shown.decode(errors="ignore")])
    made = [
        {"stream": dict(key), "values": sorted(found, key=lambda one: int(one[0]))} for key, found in streams.items()
    ]
    return json.dumps({"streams": made}).encode(), left_out


class Loki:
    """A connection to one Loki, made again when it is lost."""

    def __init__(self, url: str, host: str) -> None:
        self._url, self._host = urlsplit(url), host
        self._link: http.client.HTTPConnection | None = None

    def push(self, lines: list[str]) -> str:
        """Empty when the lines are there, or are such that they never will be; otherwise why not, and all of them may come again."""
        made, left_out = body(lines, self._host)
        if left_out:
            handover.report(f"{left_out} lines for Loki are no entries, and are left out")
        if left_out == len(lines):  # Loki refuses a push of nothing, and would be asked again without end
            return ""
        content = gzip.compress(made, 1)
        for _ in range(2):  # a connection that was kept may have ended in between
            fresh = self._link is None
            try:
                return self._asked(content, len(lines))
            except (OSError, http.client.HTTPException) as error:
                self._link = None
                if fresh:
                    return f"cannot reach Loki: {type(error).__name__}"
        return "cannot reach Loki"

    def _asked(self, content: bytes, count: int) -> str:
        if self._link is None:
            self._link = http.client.HTTPConnection(self._url.hostname or "", self._url.port or 80, timeout=SECONDS)
        head = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        self._link.request("POST", self._url.path, body=content, headers=head)
        answer = self._link.getresponse()
        answer.read()
        if answer.status == 400:
            # What Loki takes of the batch it has taken; the rest is too old or too long, and will not get better.
            handover.report(f"Loki refuses lines of a batch of {count} for good: they are not in it")
        return "" if answer.status in {200, 204, 400} else f"Loki answers {answer.status}"


if __name__ == "__main__":
    handover.serve(Loki(*sys.argv[1:3]).push)
