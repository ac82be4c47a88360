"""Anchors of an audit trail, as they were kept elsewhere (a SIEM, another machine): whether they are the host's, and hold against its log.

An anchor is a line of JSON, `{"event": "anchor", "ts", "host", "seq", "mac", "signature"}`: Ed25519 over the line without its signature
(citadelle/observability/trail.py). The public key was taken from the host when it could be trusted: /var/lib/citadelle/trail/public.pem.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from citadelle import audit


def read(lines: Iterable[str], public: bytes) -> dict[int, str]:
    """The mac of each record that an anchor names, by its number. Raises ValueError for a line that is not the key's anchor."""
    key = load_pem_public_key(public)
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("not a key of anchors: Ed25519 is wanted")  # noqa: TRY004  a wrong file
    found: dict[int, str] = {}
    for number, line in enumerate(lines, 1):
        try:
            anchor = json.loads(line)
            signature = base64.b64decode(anchor.pop("signature"), validate=True)
            key.verify(signature, json.dumps(anchor, separators=(",", ":")).encode())
            found[anchor["seq"]] = anchor["mac"]
        except (ValueError, KeyError, TypeError, AttributeError, InvalidSignature) as error:
            raise ValueError(f"line {number}: not an anchor of this key: {type(error).__name__}") from None
    if not found:
        raise ValueError("no anchor in it")
    return found


def judge(log: Path, key: bytes, anchors: dict[int, str], since: int = 1) -> str:
    """Hold a log, or a file of it, against them; one line about it. Raises audit.Problem.

    since: anchors of records before this one are left out, as those records are where the period of keeping has ended.
    """
    held = {seq: mac for seq, mac in anchors.items() if seq >= since}
    if not held:
        raise audit.Problem(f"no anchor names record {since} or a later one")
    left = dict(held)
    for record in audit.numbered(audit.files_of(log) if log.is_dir() else [log], key):
        wanted = left.pop(record["seq"], record["mac"])
        if wanted != record["mac"]:
            raise audit.Problem(f"record {record['seq']}: not the one that an anchor names")
    if left:
        raise audit.Problem(f"record {min(left)}: missing, an anchor names it")
    older = f"; {len(anchors) - len(held)} name records before {since}" if len(held) < len(anchors) else ""
    return f"{len(held)} anchors hold, the newest names record {max(held)}{older}"
