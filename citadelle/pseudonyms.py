"""Pseudonyms of the gateway's keys in the audit trail: a keyed hash of a key's id, by a secret that changes.

Runs alone on the gateway's host (standard library, Python 3.10 or newer), as root: pseudonyms.py rotate | resolve NAME

    pN:HEX    N: number of the secret; HEX: the first 80 bits of HMAC-SHA256 of the id

With a new secret a key has a new name: what it asked before and what it asks now is no longer seen as one's, but by who has both secrets.
When a secret is destroyed (`retention.py`, with the records that it has named), nobody can tell any more whose they were, wherever copies
of them lie. `resolve` gives the id of a pseudonym, or all pseudonyms of an id. The secrets stay in their file, root's alone.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import hmac
import json
import os
import re
import secrets
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any

PROGRAM = "/usr/local/lib/citadelle/pseudonyms.py"
FILE = "/var/lib/citadelle/audit/pseudonyms.json"
KEYS = "/etc/citadelle/gateway/keys.json"  # ids, also of keys that have ended, for as long as there are records of them
NAME = re.compile(r"p([1-9][0-9]{0,8}):[0-9a-f]{20}")
Spans = list[list[int]]


class Pseudonyms:
    """The secrets of one host, oldest first: `{"secrets": [{number, begin, secret}]}`.

    Raises OSError, ValueError, LookupError where they cannot be read.
    """

    def __init__(self, file: Path) -> None:
        self._file, self._stamp = file, (0, 0)
        self._names: dict[str, str] = {}
        self._secrets: list[dict[str, Any]] = []

    def refresh(self) -> None:
        """Take what is in the file, when it has changed."""
        stat = self._file.stat()
        if (stamp := (stat.st_mtime_ns, stat.st_ino)) != self._stamp:
            found = json.loads(self._file.read_text())["secrets"]
            self._secrets = [one | {"secret": bytes.fromhex(one["secret"])} for one in found]
            self._stamp, self._names = stamp, {}

    def look(self) -> None:
        """The same; what cannot be read leaves the former secrets in use."""
        with contextlib.suppress(OSError, ValueError, LookupError):
            self.refresh()

    def of(self, identity: str) -> str:
        """The name of a key's id now."""
        name = self._names.get(identity)
        if name is None:
            name = self._names[identity] = _name(self._secrets[-1], identity)
        return name

    def known(self, identities: Iterable[str], numbers: Iterable[int] | None = None) -> dict[str, str]:
        """Ids by their pseudonyms, of all secrets that are left, or of those with these numbers."""
        wanted = [one for one in self._secrets if numbers is None or one["number"] in numbers]
        return {_name(one, identity): identity for identity in identities for one in wanted}

    def written(self, fields: dict[str, Any]) -> dict[str, Any]:
        """A record of the trail, with the name in the place of the id."""
        where = "subject" if fields.get("event", "").startswith("key_") else "key"
        return {**fields, where: self.of(fields[where])} if fields.get(where) else fields

    def summed(self, found: dict[str, Spans], identities: list[str]) -> dict[str, Spans]:
        """audit.totals by ids again: those of one id, under the names of several secrets, together."""
        known, sums = self.known(identities), dict[str, Spans]()
        for name, spans in found.items():
            own = sums.setdefault(known.get(name, name), [[0] * len(one) for one in spans])
            for used, more in zip(own, spans, strict=True):
                used[:] = map(sum, zip(used, more, strict=True))
        return sums

    def begin(self, number: int) -> str:
        """Since when a secret was in use."""
        return next(one["begin"] for one in self._secrets if one["number"] == number)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[list[dict[str, Any]]]:
        """What is in the file, to be changed; written whole or not at all, afterwards."""
        with os.fdopen(os.open(f"{self._file}.lock", os.O_CREAT | os.O_RDWR, 0o600)) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = json.loads(self._file.read_text())["secrets"] if self._file.exists() else []
            listed = list(before)
            yield listed
            if listed != before:
                _replace(self._file, json.dumps({"secrets": listed}))
        self.refresh()

    def rotate(self, before: float | None = None) -> bool:
        """Begin a new secret, where the newest began before this moment, or in any case; whether one has begun."""
        with self._alone() as listed:
            newest = listed[-1] if listed else None
            due = newest is None or before is None or _seconds(newest["begin"]) < before
            if due:
                now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")  # noqa: UP017  Python 3.10
                number = newest["number"] + 1 if newest else 1
                listed.append({"number": number, "begin": now, "secret": secrets.token_hex(32)})
            return due

    def destroy(self, before: float) -> int:
        """Those that were replaced before this moment; how many. The newest one stays."""
        with self._alone() as listed:
            gone = [one for one, after in pairwise(listed) if _seconds(after["begin"]) < before]
            listed[:] = [one for one in listed if one not in gone]
            return len(gone)

    def replaced(self) -> float | None:
        """When the oldest that is left was replaced; None while there is but one."""
        return _seconds(self._secrets[1]["begin"]) if len(self._secrets) > 1 else None


def opened(file: Path) -> Pseudonyms:
    """Those of a file, with a first secret where there is none."""
    found = Pseudonyms(file)
    if not file.exists():
        found.rotate()
    found.refresh()
    return found


def _name(one: dict[str, Any], identity: str) -> str:
    return f"p{one['number']}:{hmac.new(one['secret'], identity.encode(), hashlib.sha256).hexdigest()[:20]}"


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp()


def _replace(path: Path, text: str) -> None:
    """Over the old one, on the disk; root's alone from its first moment on."""
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def resolved(held: Pseudonyms, identities: list[str], name: str) -> list[dict[str, str]]:
    """`[{"name", "id", "begin"}]`: whose a pseudonym is, or all names of a key's id; none for what is neither here."""
    rows = held.known(identities if NAME.fullmatch(name) else [one for one in identities if one == name])
    found = [(one, identity) for one, identity in rows.items() if name in {one, identity}]
    return [{"name": one, "id": who, "begin": held.begin(int(one[1:].partition(":")[0]))} for one, who in found]


def main() -> int:
    """One command; exit code."""
    parser = argparse.ArgumentParser(description="Pseudonyms of keys in the audit trail.")
    parser.add_argument("--file", type=Path, default=Path(FILE))
    parser.add_argument("--keys", type=Path, default=Path(KEYS))
    words = parser.add_subparsers(dest="word", required=True)
    words.add_parser("rotate", help="a new secret from now on")
    words.add_parser("resolve", help="whose a pseudonym is, or which an id has").add_argument("name")
    given = parser.parse_args()
    try:
        if given.word == "rotate":
            opened(given.file).rotate()
        else:
            held = Pseudonyms(given.file)  # a question makes no secret
            held.refresh()
            identities = [one["id"] for one in json.loads(given.keys.read_text())["keys"]]
            print(json.dumps(resolved(held, identities, given.name)))
    except (OSError, ValueError, LookupError) as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main())
