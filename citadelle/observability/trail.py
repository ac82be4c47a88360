"""What else belongs into the audit trail, and what holds it from outside: run by a timer, as root.

Runs alone on a host beside audit.py (standard library, Python 3.10 or newer): trail.py
1. What decides how the gateway answers is looked at: keys, the secrets of their pseudonyms, policies, models, the release, silences of
   alerts. What differs from the last look becomes a record of the trail, whoever has changed it and however. The first look records all.
2. Where logs are shipped, the trail's newest record is signed (Ed25519) as an anchor, a line of ANCHORS, which goes at once: who comes to
   be root later can write the log anew, but not what lies elsewhere. `citadelle audit verify --anchors` holds a log against them.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

if not __package__:  # run as a file: its folder is the package `citadelle`, on a host as in the checkout
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from citadelle import audit, pseudonyms

PROGRAM = "/usr/local/lib/citadelle/trail.py"
STATE = Path("/var/lib/citadelle/trail")  # seen.json, key.pem, public.pem
ANCHORS = Path(audit.ANCHORS)
SHIPPED = Path("/etc/citadelle/logs/rsyslog.conf")  # of the role `logs`; an anchor that goes nowhere would hold nothing
ANCHOR_BYTES = 16 << 20  # then it begins anew, with the former one beside it
SOCKET = Path("/run/citadelle/audit/audit.sock")
KEYS = Path("/etc/citadelle/gateway/keys.json")
MODELS = Path("/etc/citadelle/models.lock.json")
SECRETS = Path(pseudonyms.FILE)
RELEASE = Path("/opt/citadelle/current")
ALERTS = Path("/usr/local/lib/citadelle/alerts.py")
Seen = dict[str, str]


def digest(value: object) -> str:
    """Of something, for telling that it has changed."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def keys() -> Seen:
    """The gateway's keys, by their ids."""
    listed = json.loads(KEYS.read_text())["keys"] if KEYS.exists() else []
    return {one["id"]: digest(one) for one in listed}


def policies() -> Seen:
    """Files of policies of the current release."""
    folder = RELEASE / "policies"
    return {path.name: digest(path.read_text()) for path in sorted(folder.glob("*"))} if folder.is_dir() else {}


def models() -> Seen:
    """Models of the lock, by their names."""
    listed = json.loads(MODELS.read_text())["models"] if MODELS.exists() else []
    return {one["name"]: digest(one) for one in listed}


def secrets() -> Seen:
    """Secrets that pseudonyms of keys are made with, by their numbers."""
    listed = json.loads(SECRETS.read_text())["secrets"] if SECRETS.exists() else []
    return {str(one["number"]): digest(one["begin"]) for one in listed}


def release() -> Seen:
    """The release that runs."""
    return {"current": RELEASE.resolve().name} if RELEASE.is_symlink() else {}


def silences() -> Seen:
    """Silences of alerts that hold, with what they are about. Raises OSError where Alertmanager does not say."""
    if not ALERTS.exists():
        return {}
    from citadelle import alerts  # type: ignore[attr-defined]  # on hosts it lies beside this file

    listed = json.loads(alerts.ask(f"{alerts.address()}/api/v2/silences"))
    return {one["id"]: digest(one["matchers"]) for one in listed if one["status"]["state"] != "expired"}


LOOKS: dict[str, Callable[[], Seen]] = {
    "key": keys,
    "policy": policies,
    "model": models,
    "pseudonym": secrets,
    "release": release,
    "silence": silences,
}


def looked(before: dict[str, Seen]) -> tuple[dict[str, Seen], bool]:
    """What is; of what cannot be looked at, what was. And whether all could be."""
    found, whole = {}, True
    for kind, look in LOOKS.items():
        try:
            found[kind] = look()
        except (OSError, ValueError, LookupError, TypeError) as error:
            print(f"{kind} cannot be looked at: {error}", file=sys.stderr)
            found[kind], whole = before.get(kind, {}), False
    return found, whole


def changes(before: dict[str, Seen], now: dict[str, Seen]) -> list[tuple[str, str, str]]:
    """Events with their subject and its digest, as audit.EVENTS has them."""
    found = []
    for kind, seen in now.items():
        old = before.get(kind, {})
        for subject in sorted(seen.keys() | old.keys()):
            if seen.get(subject) != old.get(subject):
                word = "created" if subject not in old else "changed" if subject in seen else "removed"
                found.append((f"{kind}_{word}", subject, seen.get(subject, "")))
    return found


def note(events: list[tuple[str, str, str]]) -> Iterator[tuple[str, str, str]]:
    """Have them recorded; gives each that is. Raises OSError at the first that is not."""
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(20)
        link.connect(str(SOCKET))
        with link.makefile("rwb") as stream:
            for event, subject, value in events:
                plain = re.sub(r"[^A-Za-z0-9 ._:/+-]", "_", subject)[:128]
                record = {"id": str(uuid.uuid4()), "subject": plain, "digest": value}
                stream.write(json.dumps({"op": "note", "event": event, "record": record}).encode() + b"\n")
                stream.flush()
                said = json.loads(stream.readline() or b'{"error": "it has gone"}')
                if "error" in said:
                    raise OSError(f"not recorded: {event} {plain}: {said['error']}")
                yield event, subject, value


def seen() -> dict[str, Seen]:
    """The last look; nothing where there was none, or its file does not make sense: then all of it is recorded again."""
    try:
        found: dict[str, Seen] = json.loads((STATE / "seen.json").read_text())
        return {kind: dict(found.get(kind, {})) for kind in LOOKS}
    except FileNotFoundError:
        return {kind: {} for kind in LOOKS}
    except (ValueError, TypeError, AttributeError) as error:
        print(f"last look cannot be read, all is recorded again: {error}", file=sys.stderr)
        return {kind: {} for kind in LOOKS}


def record(before: dict[str, Seen], now: dict[str, Seen]) -> None:
    """Have recorded what has changed; what is recorded counts as seen, also when a later one fails."""
    try:
        for event, subject, value in note(changes(before, now)):
            kind = event.partition("_")[0]
            if subject in now[kind]:
                before[kind][subject] = value
            else:
                del before[kind][subject]
    finally:
        _write(STATE / "seen.json", json.dumps(before))


def _write(path: Path, content: str) -> None:
    """Whole or not at all, also when the power fails."""
    fresh = path.with_suffix(".new")
    with fresh.open("w") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def anchor(now: datetime) -> dict[str, Any]:
    """The newest record, signed. Raises OSError, audit.Problem."""
    head = audit.unseal(audit.read_key(Path(audit.KEY)), (Path(audit.LOG) / audit.HEAD).read_bytes())
    moment = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    body = {"event": "anchor", "ts": moment, "host": socket.gethostname(), "seq": head["seq"], "mac": head["last"]}
    return body | {"signature": signed(json.dumps(body, separators=(",", ":")).encode())}


def signed(content: bytes) -> str:
    """Ed25519, base64. The standard library has none: by openssl, which takes it from a file only."""
    key = STATE / "key.pem"
    if not key.exists():
        fresh = STATE / "key.new"
        openssl("genpkey", "-algorithm", "ed25519", "-out", str(fresh))
        openssl("pkey", "-in", str(fresh), "-pubout", "-out", str(STATE / "public.pem"))
        fresh.replace(key)
    with tempfile.NamedTemporaryFile(dir=STATE) as file:
        file.write(content)
        file.flush()
        return base64.b64encode(openssl("pkeyutl", "-sign", "-rawin", "-inkey", str(key), "-in", file.name)).decode()


def openssl(*words: str) -> bytes:
    """What it answers. Raises OSError where it fails."""
    done = subprocess.run(["openssl", *words], stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60)
    if done.returncode:
        raise OSError(f"openssl {words[0]}: {done.stderr.decode(errors='replace').strip()[-200:]}")
    return done.stdout


def keep(line: dict[str, Any]) -> None:
    """Behind the others, on the disk."""
    if ANCHORS.exists() and ANCHORS.stat().st_size > ANCHOR_BYTES:
        ANCHORS.replace(ANCHORS.with_suffix(".1"))
    with ANCHORS.open("a") as file:
        file.write(json.dumps(line, separators=(",", ":")) + "\n")
        file.flush()
        os.fsync(file.fileno())


def main() -> int:
    """Record what has changed, then anchor; 1 where one of them fails, or something could not be looked at."""
    if not SOCKET.exists():  # no stack yet: nobody to tell, and nothing to anchor
        return 0
    before = seen()
    now, whole = looked(before)
    try:
        if before != now:
            record(before, now)
        if SHIPPED.exists():
            keep(anchor(datetime.now(timezone.utc)))  # noqa: UP017  Python 3.10
    except (OSError, ValueError, audit.Problem) as error:
        print(f"audit trail: {error}", file=sys.stderr)
        return 1
    return 0 if whole else 1


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main())
