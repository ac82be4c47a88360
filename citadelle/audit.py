"""The audit trail of a gateway: the form of its records, and the judge of what was kept. `audit_receiver.py` writes it.

Runs alone on a host (standard library, Python 3.10 or newer): audit.py [PATH] [--key FILE] [--since SEQ] [--anchor SEQ:MAC]

    <log>/audit-<number of the first record>.jsonl   one record a line: metadata of one request, never content
    <log>/head.json                                  the newest record's number and hash: shows a log whose end was cut off

A line is {"seq", "ts", ..., "prev", "mac"}: `mac` is HMAC-SHA256 over the line without it, `prev` the mac of the line before.
The gateway never has the key: one that was taken over can lie about what is to come, not about what was. Who has the key, or root, can
write the whole log anew; against that, compare with an anchor: the gateway's own log holds number and hash of records, and goes elsewhere.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import re
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

PROGRAM = "/usr/local/lib/citadelle/audit.py"
LOG, KEY = "/var/log/citadelle/audit", "/var/lib/citadelle/audit/key"
ANCHORS = "/var/log/citadelle/anchors/anchors.jsonl"  # of trail.py
HEAD = "head.json"
BEGIN = "/var/lib/citadelle/retention/audit"  # number of the first record that retention.py has left
NOTHING = "0" * 64  # what the first record follows
# fmt: off
FIELDS = frozenset({
    "id", "key", "groups", "route", "model", "stream", "status", "code", "cancelled", "counted", "unrecorded",
    "bytes_in", "bytes_out", "prompt_tokens", "completion_tokens", "ttft_ms", "ms", "policy", "prompt", "passages",
})
# fmt: on
# What else becomes a record, said by root's programs alone: what decides how the gateway answers has changed (trail.py).
EVENTS = re.compile(r"(key|policy|model|pseudonym|release|silence)_(created|changed|removed)")
NOTE = frozenset({"id", "subject", "digest"})
_TEXT = re.compile(r"[A-Za-z0-9 ._:/+-]{0,128}")
ANCHOR = re.compile(r"[1-9][0-9]{0,17}:[0-9a-f]{64}")
# json.dumps makes an encoder for each call that is not its default.
_ENCODE = json.JSONEncoder(separators=(",", ":")).encode
_LINE = re.compile(rb'(\{.*),"mac":"([0-9a-f]{64})"\}\n')


class Problem(Exception):
    """What is wrong, and where."""


def checked(record: Any, fields: frozenset[str] = FIELDS) -> dict[str, Any]:
    """The record, if it has known fields and short values only: no content gets in here by mistake. Raises ValueError."""
    if not isinstance(record, dict) or record.keys() - fields or not isinstance(record.get("id"), str):
        raise ValueError("not a record: unknown fields, or no id")
    for name, value in record.items():
        if not (all(map(_is_short, value)) if isinstance(value, list) else _is_short(value)):
            raise ValueError(f"not a record: value of {name}")
    return record


def noted(event: Any, record: Any) -> dict[str, Any]:
    """A record of one of EVENTS, judged in the same way."""
    if not isinstance(event, str) or not EVENTS.fullmatch(event):
        raise ValueError("not an event")
    return {"event": event, **checked(record, NOTE)}


def _is_short(value: Any) -> bool:
    if isinstance(value, str):
        return _TEXT.fullmatch(value) is not None
    return value is None or isinstance(value, bool) or (isinstance(value, int) and 0 <= value < 1 << 53)


def seal(key: bytes, body: dict[str, Any]) -> tuple[bytes, str]:
    """A record's line, and its mac."""
    text = _ENCODE(body).encode()
    mac = hmac.digest(key, text, "sha256").hex()
    return text[:-1] + f',"mac":"{mac}"}}\n'.encode(), mac


def unseal(key: bytes, line: bytes) -> dict[str, Any]:
    """The record of a line. Raises Problem for one that is cut off, malformed or changed."""
    if not line.endswith(b"\n"):
        raise Problem("cut off within the record")
    parts = _LINE.fullmatch(line)
    if parts is None:
        raise Problem("not a record")
    text = parts[1] + b"}"
    if not hmac.compare_digest(hmac.new(key, text, hashlib.sha256).hexdigest().encode(), parts[2]):
        raise Problem("changed: its hash does not fit")
    return json.loads(text) | {"mac": parts[2].decode()}


def read_key(path: Path) -> bytes:
    """The key of a log. Raises OSError, ValueError."""
    key = bytes.fromhex(path.read_text())
    if len(key) != 32:
        raise ValueError(f"not the key of an audit trail: {path}")
    return key


def began() -> int:
    """The first record that is still to be there."""
    try:
        return int(Path(BEGIN).read_text())
    except FileNotFoundError:
        return 1


def files_of(folder: Path) -> list[Path]:
    """The files of a log, oldest first."""
    return sorted(folder.glob("audit-*.jsonl"))


def numbered(paths: list[Path], key: bytes) -> Iterator[dict[str, Any]]:
    """Every record in order; raises Problem, with its place, at the first one that is not what was written there."""
    last: dict[str, Any] | None = None
    for path in paths:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    record = unseal(key, line)
                    _follows(record, last)
                except Problem as problem:
                    expected = "" if last is None else f" (record {last['seq'] + 1})"
                    raise Problem(f"{path.name} line {number}{expected}: {problem}") from None
                last = record
                yield record


def _follows(record: dict[str, Any], last: dict[str, Any] | None) -> None:
    seq, expected = record["seq"], record["seq"] if last is None else last["seq"] + 1
    if seq > expected:
        raise Problem(f"records {expected} to {seq - 1} are missing: it is record {seq}")
    if seq < expected:
        raise Problem(f"record {seq} again: replayed, or out of order")
    if last is not None and record["prev"] != last["mac"]:
        raise Problem("does not follow the record before it: it is of another log")


def verify(path: Path, key: bytes, since: int = 1, anchor: str = "") -> str:
    """Judge a log's folder, or one file of it; one line about what is intact. Raises Problem, naming the first bad record.

    since: records before this one are not judged. anchor: `SEQ:MAC` of a record that must be there, from another place.
    """
    if anchor and not ANCHOR.fullmatch(anchor):
        raise Problem(f"not an anchor: {anchor}")
    # The head first: what is written while this reads must not look like a head without its records.
    head = _head(path)
    paths = files_of(path) if path.is_dir() else [path]
    first = last = None
    wanted = anchor.partition(":")
    for record in numbered(_from(paths, since), key):
        if record["seq"] < since:
            continue
        first, last = first or record, record
        if record.get("missing") and not 1 < since == record["seq"]:
            raise Problem(f"record {record['seq']}: {record['missing']} records before it are missing since a restart")
        if str(record["seq"]) == wanted[0] and record["mac"] != wanted[2]:
            raise Problem(f"record {record['seq']}: not the one that the anchor names")
    if first is None or last is None:
        raise Problem(f"{path}: no records")
    if path.is_dir():
        _ends(head, key, first, last, since)
    if anchor and not first["seq"] <= int(wanted[0]) <= last["seq"]:
        raise Problem(f"record {wanted[0]}: missing, an anchor names it")
    begin, end = (f"{record['seq']} of {record['ts']}" for record in (first, last))
    return f"{last['seq'] - first['seq'] + 1} records intact: {begin} to {end}, {last['mac']}"


def _from(paths: list[Path], since: int) -> list[Path]:
    """Without the files that end before `since`: a file's name tells its first record."""
    starts = [int(path.stem.partition("-")[2]) if path.stem[6:].isdigit() else 0 for path in paths]
    return [
        path
        for place, path in enumerate(paths)
        if since == 1 or starts[place + 1 :][:1] > [since] or place + 1 == len(paths)
    ]


def _head(folder: Path) -> bytes | OSError:
    try:
        return (folder / HEAD).read_bytes()
    except OSError as error:
        return error


def _ends(head: bytes | OSError, key: bytes, first: dict[str, Any], last: dict[str, Any], since: int) -> None:
    if first["seq"] > since or (first["seq"] == 1 and first["prev"] != NOTHING):
        raise Problem(f"records {since} to {first['seq'] - 1} are missing at the beginning")
    if isinstance(head, OSError):
        raise Problem(f"{HEAD}: {head}")
    try:
        end = unseal(key, head)["seq"]
    except Problem as problem:
        raise Problem(f"{HEAD}: {problem}") from None
    if end > last["seq"]:
        raise Problem(f"records {last['seq'] + 1} to {end} are missing at the end")


def totals(folder: Path, since: list[str]) -> dict[str, list[list[int]]]:
    """Per key: requests, tokens in and out, for each span that begins at one of `since` (times as in records, ascending)."""
    sums: dict[str, list[list[int]]] = {}
    begin = datetime.fromisoformat(since[0].replace("Z", "+00:00")).timestamp()
    for path in files_of(folder):
        lines = path.read_bytes().splitlines(keepends=True) if path.stat().st_mtime >= begin else []
        for record in (json.loads(line) for line in lines if _LINE.fullmatch(line)):
            span = sum(record["ts"] >= start for start in since) - 1
            if span >= 0 and record.get("key") and record.get("counted"):
                used = sums.setdefault(record["key"], [[0, 0, 0] for _ in since])[span]
                for place, name in enumerate(("counted", "prompt_tokens", "completion_tokens")):
                    used[place] += record.get(name) or 0
    return sums


def main() -> int:
    """`verify`: print what is intact and return 0, or the first bad record and return 1."""
    parser = argparse.ArgumentParser(description="Judge an audit trail.")
    parser.add_argument("path", type=Path, nargs="?", default=Path(LOG), help="folder of a log, or one file of it")
    parser.add_argument("--key", type=Path, default=Path(KEY), help="file with the key of the log")
    parser.add_argument("--since", type=int, help="number of the first record to judge; else the first that is kept")
    parser.add_argument("--anchor", default="", help="SEQ:MAC of a record that must be there")
    arguments = parser.parse_args()
    try:
        since = arguments.since or (began() if arguments.path == Path(LOG) else 1)
        print(verify(arguments.path, read_key(arguments.key), since, arguments.anchor))
    except (Problem, OSError, ValueError) as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
