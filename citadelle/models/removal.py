"""Take a model out of a store on this machine: its manifest and the blobs that no other model needs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from citadelle.models import verify
from citadelle.models.manifest import canonical_name


def remove_model(store: Path, name: str) -> list[str]:
    """Remove a model by its name, short or canonical; returns the removed paths, relative to the store.

    The manifest goes first, so that there is never a model with a part of its files. Raises OSError, and `verify.Refused` where the
    model is not there, or where another manifest cannot be read: what that one needs is not known.
    """
    path = verify.manifest_path(canonical_name(name))
    target = store / path
    if target.is_symlink() or not target.is_file():
        raise verify.Refused(f"not in the store: {name}: {target}")
    others = {blob for manifest in _manifests(store) if manifest != target for blob in _blobs(manifest)}
    own = set(_blobs(target))
    target.unlink()
    gone = sorted(blob for blob in own - others if (store / blob).is_file())
    for blob in gone:
        (store / blob).unlink()
    _remove_empty(store / "manifests", target.parent)
    return [path, *gone]


def _manifests(store: Path) -> Iterator[Path]:
    return (path for path in (store / "manifests").rglob("*") if not path.is_dir() or path.is_symlink())


def _blobs(manifest: Path) -> list[str]:
    try:
        config, layers = verify.read_manifest(manifest.read_bytes())
    except verify.Refused as error:
        raise verify.Refused(f"what another model needs is not known: {manifest}: {error}") from None
    return [entry.path for entry in (config, *layers)]


def _remove_empty(top: Path, folder: Path) -> None:
    while folder != top and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
