"""Who may ask: a file of key hashes, read again whenever it changes."""

import hashlib
import hmac
from pathlib import Path
from typing import Annotated

import orjson
from pydantic import StringConstraints

from gateway.log import event
from gateway.settings import Strict

_SCHEME = b"bearer "


class Key(Strict):
    """`id` names the holder in the log; `sha256` is the hex hash of the key's ASCII bytes."""

    id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class KeyFile(Strict):
    """The key file: `{"keys": [{"id", "sha256"}]}`."""

    keys: tuple[Key, ...]


class KeyRing:
    """The keys in force. A file that cannot be read or checked means that no key is: the door fails closed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: object = None
        self._keys: tuple[tuple[str, bytes], ...] = ()

    def __len__(self) -> int:
        self._refresh()
        return len(self._keys)

    def holder(self, authorization: bytes | None) -> str | None:
        """The id behind an Authorization header, or None. Compares with every key, in constant time."""
        self._refresh()
        token = _token(authorization or b"")
        if not token:
            return None
        offered = hashlib.sha256(token).digest()
        matches = [name for name, digest in self._keys if hmac.compare_digest(digest, offered)]
        return matches[0] if matches else None

    def _refresh(self) -> None:
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._keys = _load(self._path)
        except (OSError, ValueError) as error:
            self._keys = ()
            event("keys_refused", error=type(error).__name__)
        else:
            event("keys_loaded", count=len(self._keys))


def _stamp(path: Path) -> object:
    try:
        status = path.stat()
    except OSError:
        return "absent"
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _load(path: Path) -> tuple[tuple[str, bytes], ...]:
    keys = KeyFile.model_validate(orjson.loads(path.read_bytes())).keys
    if len({key.id for key in keys}) != len(keys):
        raise ValueError("an id occurs twice")
    return tuple((key.id, bytes.fromhex(key.sha256)) for key in keys)


def _token(authorization: bytes) -> bytes:
    scheme, token = authorization[: len(_SCHEME)], authorization[len(_SCHEME) :]
    return token.strip(b" ") if scheme.lower() == _SCHEME else b""
