"""Who may ask: a file of keyed hashes, read again whenever it changes."""

import base64
import binascii
import hashlib
import hmac
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, StringConstraints

from gateway.errors import Refusal
from gateway.log import event
from gateway.settings import Name, Rates, Strict
from gateway.stamp import stamp_of
from gateway.wire import Headers

PEPPER = "pepper"  # beside the key file: 64 hex digits, the key of the hashes
RouteName = Literal["chat", "embeddings", "models"]
Label = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]


class Key(Strict):
    """`id` names the holder in log and audit; `hmac` is the hex HMAC-SHA256 of the key's bytes. None means: as the policy says, for all."""

    id: Label
    hmac: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    created: AwareDatetime | None = None
    expires: AwareDatetime | None = None
    revoked: AwareDatetime | None = None
    models: frozenset[Name] | None = None
    routes: frozenset[RouteName] | None = None
    groups: tuple[Label, ...] = ()
    limits: Rates = Rates()
    rag: bool = False  # answers from documents, unless a request says otherwise

    def check(self, now: datetime) -> None:
        """Raise Refusal (401) for a key that is no longer in force."""
        if self.revoked:
            raise Refusal(401, "key_revoked", "This key was revoked.")
        if self.expires and now >= self.expires:
            raise Refusal(401, "key_expired", "This key has expired.")

    def may(self, route: RouteName) -> bool:
        """Whether the key is good for this kind of request."""
        return self.routes is None or route in self.routes

    def may_use(self, model: str) -> bool:
        """Whether the key is good for this model."""
        return self.models is None or model in self.models


class KeyFile(Strict):
    """The key file: `{"keys": [Key]}`."""

    keys: tuple[Key, ...]


class KeyRing:
    """The keys of the file. One that cannot be read or checked, or has no pepper, means no key at all: the door fails closed."""

    def __init__(self, path: Path) -> None:
        self._path, self._pepper_path = path, path.with_name(PEPPER)
        self._names = str(self._path), str(self._pepper_path)  # a Path would be turned into one for each request
        self._stamp: object = None
        self._keys: dict[bytes, Key] = {}
        self._hasher = hmac.new(b"", digestmod=hashlib.sha256)

    def __len__(self) -> int:
        """Number of keys in force."""
        self._refresh()
        now = datetime.now(UTC)
        return sum(not key.revoked and (key.expires is None or now < key.expires) for key in self._keys.values())

    def ids(self) -> list[str]:
        """Of all keys, in force or not."""
        self._refresh()
        return [key.id for key in self._keys.values()]

    def find(self, headers: Headers) -> Key:
        """The key that a request brings, in force or not. Raise Refusal (401) for none, an unknown one, or several."""
        self._refresh()
        offered = credential(headers)
        # The table is asked by a keyed hash: how long that takes tells nothing about any key.
        found = self._keys.get(self._digest(offered)) if offered else None
        if found is None:
            raise Refusal(401, "invalid_key", "A valid key is required: Authorization: Bearer KEY, or x-api-key: KEY.")
        return found

    def _digest(self, offered: bytes) -> bytes:
        hasher = self._hasher.copy()  # several times faster than to begin with the pepper each time
        hasher.update(offered)
        return hasher.digest()

    def _refresh(self) -> None:
        stamp = stamp_of(self._names[0]), stamp_of(self._names[1])
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            pepper = bytes.fromhex(self._pepper_path.read_text("ascii").strip())
            self._hasher = hmac.new(pepper, digestmod=hashlib.sha256)
            self._keys = _load(self._path)
        except (OSError, ValueError) as error:
            self._keys = {}
            event("keys_refused", error=type(error).__name__)
        else:
            event("keys_loaded", count=len(self._keys))


def credential(headers: Headers) -> bytes | None:
    """The one key of a request: Bearer, Basic (its password, whatever the user), or x-api-key. None for none, or more than one."""
    by_scheme, bare = headers.get(b"authorization"), headers.get(b"x-api-key")
    if bare is None and by_scheme is not None:
        return _token(by_scheme)
    return bare.strip(b" ") or None if bare is not None and by_scheme is None else None


def _token(value: bytes) -> bytes | None:
    scheme, _, token = value.partition(b" ")
    match scheme.lower():
        case b"bearer":
            return token.strip(b" ") or None
        case b"basic":
            return _password(token.strip(b" "))
    return None


def _password(encoded: bytes) -> bytes | None:
    try:
        return base64.b64decode(encoded, validate=True).partition(b":")[2] or None
    except binascii.Error:
        return None


def _load(path: Path) -> dict[bytes, Key]:
    keys = KeyFile.model_validate_json(path.read_bytes()).keys
    if len({key.id for key in keys}) != len(keys):
        raise ValueError("an id occurs twice")
    if len({key.hmac for key in keys}) != len(keys):
        raise ValueError("a key occurs twice")
    return {bytes.fromhex(key.hmac): key for key in keys}
