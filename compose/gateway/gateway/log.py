"""One JSON line per event on stderr. Fields are an allow-list of metadata: nothing a client wrote can be among them.

Nor whose request it was: the line has the id of the request's record, and the record, in the audit trail, has the key.
"""

import sys
import time

import orjson

FIELDS = frozenset(
    {
        "id",
        "route",
        "status",
        "code",
        "stream",
        "bytes_in",
        "bytes_out",
        "ms",
        "count",
        "error",
        "passages",
        "listen",
        "mac",
    }
)


def event(name: str, **fields: str | int | bool | None) -> None:
    """Write `{"ts", "event", ...fields}`. Raise ValueError for a field outside the allow-list: a bug, found by the first test."""
    if unknown := fields.keys() - FIELDS:
        raise ValueError(f"not a field of the log: {sorted(unknown)}")
    line = orjson.dumps({"ts": round(time.time(), 3), "event": name, **fields}, option=orjson.OPT_APPEND_NEWLINE)
    sys.stderr.write(line.decode())  # by lines: Python's own stderr waits for no more than that
