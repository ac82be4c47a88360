"""The gateway's keys on their host: made, listed and revoked here, held as keyed hashes only.

Runs alone on a host (standard library, Python 3.10 or newer), as root: keys.py operator [--check] | create ID [SCOPE] | list | revoke ID

    operator.key          the operator's key, root only
    gateway/keys.json     {"keys": [{id, hmac, created, ...}]}: HMAC-SHA256 of each key's ASCII bytes, hex
    gateway/pepper        the key of that HMAC: 64 hex digits. Neither file alone says whether a guess is a key

A new keys.json is renamed over the old one, so the gateway never reads half a file.
Errors: `what: value` and `hint: cure` on stderr, exit 1.
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
import tempfile
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

PROGRAM = "/usr/local/lib/citadelle/keys.py"
FOLDER = "/etc/citadelle"
OPERATOR = "operator"
GATEWAY_GROUP = 10002  # gid of the gateway's container, as in compose/compose.yaml
ROUTES = ("chat", "embeddings", "models")
LIMITS = (
    "requests_minute", "requests_day", "tokens_in_minute", "tokens_in_day", "tokens_out_minute", "tokens_out_day", "concurrency",
)  # fmt: skip
ID = r"[a-z0-9][a-z0-9._-]{0,63}"
_LISTS = {
    "models": r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}",
    "routes": "|".join(ROUTES),
    "groups": r"[a-z0-9][a-z0-9._-]{0,63}",
}
_TIME = "%Y-%m-%dT%H:%M:%SZ"


class Problem(Exception):
    """What is wrong, and the cure."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(f"{what}\nhint: {hint}")


class Keys:
    """The keys of one host, below `folder`."""

    def __init__(self, folder: Path) -> None:
        self.operator_file = folder / "operator.key"
        self._folder, self._file, self._pepper = folder, folder / "gateway/keys.json", folder / "gateway/pepper"

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the lock of the key files; makes their folders."""
        self._folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        self._file.parent.mkdir(exist_ok=True)
        _own(self._file.parent, 0o750)
        with os.fdopen(os.open(self._folder / "keys.lock", os.O_CREAT | os.O_RDWR, 0o600)) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def entries(self) -> list[dict[str, Any]]:
        """The entries of the file. Raises Problem for one that cannot be read as such."""
        try:
            listed = json.loads(self._file.read_text())["keys"]
            return [
                entry for entry in listed if "hmac" in entry
            ]  # without: of a release that had another kind of digest
        except FileNotFoundError:
            return []
        except (ValueError, KeyError, TypeError):
            raise Problem(
                f"key file cannot be read: {self._file}", "restore it, or remove it and make the keys anew"
            ) from None

    def write(self, entries: list[dict[str, Any]]) -> None:
        """Replace the file, whole or not at all."""
        _replace(self._file, json.dumps({"keys": entries}, indent=1) + "\n", 0o640)

    def digest(self, key: str) -> str:
        """HMAC-SHA256 of a key under this host's pepper, in hex; the pepper is made at the first use."""
        if not self._pepper.exists():
            if self.entries():
                raise Problem(
                    f"pepper is absent: {self._pepper}",
                    f"no key works without it: remove {self._file}, run the deploy, make the keys anew",
                )
            _replace(self._pepper, secrets.token_hex(32) + "\n", 0o640)
        return hmac.digest(bytes.fromhex(self._pepper.read_text().strip()), key.encode(), hashlib.sha256).hex()

    def operator_is_right(self) -> bool:
        """Whether the operator's key is there, root's alone, and its digest is what the gateway reads."""
        try:
            state, key = self.operator_file.stat(), self.operator_file.read_text().strip()
            held = [entry["hmac"] for entry in self.entries() if entry["id"] == OPERATOR and "revoked" not in entry]
            return (
                bool(key)
                and (state.st_mode & 0o777, state.st_uid) == (0o600, os.geteuid())
                and held == [self.digest(key)]
            )
        except (OSError, Problem, ValueError):
            return False

    def operator(self) -> None:
        """Have an operator's key, and its digest among the others; a key file that is broken is made anew with it alone."""
        key = self.operator_file.read_text().strip() if self.operator_file.exists() else ""
        if not key:
            key = _new_key()
            _replace(self.operator_file, key + "\n", 0o600)
        _own(self.operator_file, 0o600, group=0)
        with contextlib.suppress(Problem):
            others = [entry for entry in self.entries() if entry["id"] != OPERATOR]
            self.write([{"id": OPERATOR, "hmac": self.digest(key), "created": _now()}, *others])
            return
        self._file.rename(self._file.with_suffix(".broken"))
        self.write([{"id": OPERATOR, "hmac": self.digest(key), "created": _now()}])

    def create(self, identity: str, scope: dict[str, Any]) -> str:
        """Add a key; it is returned here and is nowhere else. Raises Problem for an id that was ever used."""
        entries = self.entries()
        if not re.fullmatch(ID, identity):
            raise Problem(f"not a key id: {identity}", "a-z, 0-9, dot, dash, underscore; at most 64")
        if identity == OPERATOR or any(entry["id"] == identity for entry in entries):
            raise Problem(
                f"key id is taken: {identity}", "ids are never used twice, or the audit could mean either holder"
            )
        key = _new_key()
        self.write([*entries, {"id": identity, "hmac": self.digest(key), "created": _now(), **checked(scope)}])
        return key

    def revoke(self, identity: str) -> None:
        """End a key for good; its id stays taken. Raises Problem."""
        entries = self.entries()
        wanted = [entry for entry in entries if entry["id"] == identity]
        if not wanted or identity == OPERATOR:
            what = "the operator's key is replaced, not revoked" if identity == OPERATOR else f"no such key: {identity}"
            raise Problem(
                what, f"rm {self.operator_file}; then run the deploy" if identity == OPERATOR else "citadelle keys list"
            )
        wanted[0].setdefault("revoked", _now())
        self.write(entries)


def checked(scope: dict[str, Any]) -> dict[str, Any]:
    """The scope of a key: {expires, models, routes, groups, limits, rag}. Raises Problem: a wrong entry would close the gateway to all."""
    if unknown := scope.keys() - {"expires", "limits", "rag", *_LISTS}:
        raise Problem(f"unknown scope: {', '.join(sorted(unknown))}", f"expires, {', '.join(_LISTS)}, limits, rag")
    if not isinstance(scope.get("rag", False), bool):
        raise Problem(f"not a choice for rag: {scope['rag']}", "true or false")
    for name in _LISTS.keys() & scope.keys():
        wrong = [value for value in scope[name] if not re.fullmatch(_LISTS[name], value)]
        if wrong or not scope[name]:
            raise Problem(f"not a name for {name}: {', '.join(wrong) or 'none'}", f"each matches {_LISTS[name]}")
    for name, value in scope.get("limits", {}).items():
        if name not in LIMITS or isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 1 << 53:
            raise Problem(f"not a limit: {name}={value}", f"a whole number from 1 for one of {', '.join(LIMITS)}")
    if "expires" in scope and _time(scope["expires"]) <= datetime.now(timezone.utc):  # noqa: UP017  Python 3.10 has no datetime.UTC
        raise Problem(f"key would be expired: {scope['expires']}", "a time to come")
    return scope


def _time(text: str) -> datetime:
    try:
        return datetime.strptime(text, _TIME).replace(tzinfo=timezone.utc)  # noqa: UP017
    except ValueError:
        raise Problem(f"not a time: {text}", "like 2030-12-31T23:59:59Z") from None


def _now() -> str:
    return datetime.now(timezone.utc).strftime(_TIME)  # noqa: UP017


def _new_key() -> str:
    return f"ck_{secrets.token_urlsafe(32)}"


def _own(path: Path, mode: int, group: int = GATEWAY_GROUP) -> None:
    path.chmod(mode)
    if os.geteuid() == 0:
        os.chown(path, 0, group)


def _replace(path: Path, text: str, mode: int) -> None:
    descriptor, fresh = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    _own(Path(fresh), mode, GATEWAY_GROUP if mode & 0o040 else 0)
    Path(fresh).rename(path)


def run(arguments: argparse.Namespace) -> int:
    """One command; exit code."""
    keys = Keys(arguments.folder)
    if arguments.word == "operator" and arguments.check:
        return 0 if keys.operator_is_right() else 1
    with keys.alone():
        if arguments.word == "operator":
            keys.operator()
        elif arguments.word == "create":
            print(json.dumps({"key": keys.create(arguments.id, json.loads(arguments.scope))}))
        elif arguments.word == "revoke":
            keys.revoke(arguments.id)
        else:
            shown = [{name: value for name, value in entry.items() if name != "hmac"} for entry in keys.entries()]
            print(json.dumps({"keys": shown}))
    return 0


def main() -> int:
    """Parse and run."""
    parser = argparse.ArgumentParser(description="The gateway's keys on this host.")
    parser.add_argument("--folder", type=Path, default=Path(FOLDER))
    words = parser.add_subparsers(dest="word", required=True)
    words.add_parser("operator").add_argument("--check", action="store_true")
    create = words.add_parser("create")
    create.add_argument("id")
    create.add_argument("scope", nargs="?", default="{}")
    words.add_parser("list")
    words.add_parser("revoke").add_argument("id")
    try:
        return run(parser.parse_args())
    except Problem as problem:
        print(problem, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
