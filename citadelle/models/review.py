"""A change of the lock, made for review: entries from a registry's own manifests, the next serial, and a diff for people."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from citadelle.models import verify
from citadelle.models.lock import LockedModel, ModelsLock, Purpose, locked_from_manifest
from citadelle.models.origins import RegistryOrigin


def entry_from_registry(registry: RegistryOrigin, name: str, purpose: Purpose, licence: str) -> LockedModel:
    """The entry for what a canonical name leads to at the registry today: the one moment of trust, so its config is judged as well.

    Raises `verify.Refused`: no strict manifest, a remote model, a file kind that hosts refuse.
    """
    raw = registry.tagged(name)
    config, _ = verify.read_manifest(raw)
    verify.check_config(registry.small_blob(name, config))
    source = registry.manifest_url(name)
    return locked_from_manifest(raw, name=name, purpose=purpose, licence=licence, source=source)


def changed(
    lock: ModelsLock | None,
    entries: Iterable[LockedModel],
    removed: Iterable[str] = (),
    expires: datetime | str | None = "",
) -> ModelsLock:
    """The lock with these entries added or replaced, without the `removed` canonical names, its end set unless `expires` is "".

    The serial grows where anything differs. Raises `verify.Refused` where no model is left.
    """
    models = {model.name: model for model in (lock.models if lock else ())}
    models = {name: model for name, model in models.items() if name not in set(removed)}
    models |= {entry.name: entry for entry in entries}
    if not models:
        raise verify.Refused("no model would be left in the lock")
    end = (lock.expires if lock else None) if expires == "" else expires
    serial = lock.serial if lock else 1
    new = ModelsLock.model_validate({"serial": serial, "expires": end, "models": list(models.values())})
    if lock and new.canonical() != lock.canonical():
        new = new.model_copy(update={"serial": serial + 1})
    return new


def diff(old: bytes, new: bytes, path: Path) -> str:
    """Unified diff of two lock files, with three lines around each change."""
    before, after = (text.decode("ascii", "replace").splitlines(keepends=True) for text in (old, new))
    return "".join(difflib.unified_diff(before, after, str(path), f"{path} (new)"))
