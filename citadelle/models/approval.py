"""Is the lock the one that was approved? Its signature is judged before a byte of it is parsed."""

from __future__ import annotations

from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pyinfra import logger

from citadelle.models import verify
from citadelle.models.lock import ModelsLock
from citadelle.models.signing import Unsigned, signed_bytes
from citadelle.settings import DeployError

CHAPTER = "docs/models.md"


class Waiver(BaseModel):
    """An exception for hosts whose names match `host`, good until the end of the day `expires` (UTC)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    control: Literal["lock-signature"]
    host: Annotated[str, Field(min_length=1)]
    reason: Annotated[str, Field(min_length=10)]
    expires: date


def approved_lock(host_name: str, lock_path: Path, keys_path: Path, waivers_path: Path) -> ModelsLock:
    """The lock, signed by enough keys of the keyring at `keys_path` and within its time.

    A lock without any signature passes for a host that `waivers_path` excuses, with a warning; a wrong signature never does.
    Raises `DeployError`.
    """
    try:
        lock = ModelsLock.parse(_approved_bytes(host_name, lock_path, keys_path, waivers_path))
    except Unsigned as error:
        hint = f"citadelle models sign --key FILE, or a waiver for a time: {CHAPTER}"
        raise _refusal(host_name, f"lock of the models is refused: {lock_path}: {error}", hint) from None
    except (OSError, verify.Refused, ValidationError, yaml.YAMLError) as error:
        hint = f"git status; take the release of {lock_path.name} that was approved; {CHAPTER}"
        raise _refusal(host_name, f"lock of the models is refused: {lock_path}: {error}", hint) from None
    if lock.expired():
        hint = f"take a newer release of {lock_path}, or approve it anew"
        raise _refusal(host_name, f"lock of the models expired: {lock.expires}", hint)
    return lock


def _approved_bytes(host_name: str, lock_path: Path, keys_path: Path, waivers_path: Path) -> bytes:
    matching = [waiver for waiver in read_waivers(waivers_path) if fnmatchcase(host_name, waiver.host)]
    today = datetime.now(UTC).date()
    valid = [waiver for waiver in matching if waiver.expires >= today]
    try:
        raw = signed_bytes(lock_path, keys_path)
    except Unsigned as unsigned:
        if not valid:
            late = "".join(f"; the waiver expired on {waiver.expires}" for waiver in matching)
            raise Unsigned(f"{unsigned}{late}") from None
        logger.warning(
            f"{host_name}: lock of the models is not signed; waived until {valid[0].expires}: {valid[0].reason}"
        )
        return lock_path.read_bytes()
    for waiver in matching:
        logger.warning(f"{host_name}: the lock of the models is signed, a waiver excuses nothing: {waiver.reason}")
    return raw


def read_waivers(path: Path) -> list[Waiver]:
    """The key `models` of policies/waivers.yaml. Raises OSError, yaml.YAMLError, pydantic.ValidationError."""
    content = yaml.safe_load(path.read_bytes()) or {}
    return TypeAdapter(list[Waiver]).validate_python(content.get("models") or [])


def _refusal(host_name: str, what: str, hint: str) -> DeployError:
    return DeployError(f"{host_name}: {what}\nhint: {hint}")
