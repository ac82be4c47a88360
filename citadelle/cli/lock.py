"""`citadelle models lock`, `gguf` and `remove`: what changes the lock or the store on this controller, with a diff for review."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, cast

import typer

from citadelle.cli.models import (
    LOCK,
    LockOption,
    RegistryOption,
    StoreOption,
    app,
    read_lock,
    refusals,
)
from citadelle.cli.progress import watcher
from citadelle.models import verify
from citadelle.models.fetch import Job
from citadelle.models.gguf import make, read_recipe
from citadelle.models.lock import LockedModel, ModelsLock, Purpose
from citadelle.models.manifest import canonical_name
from citadelle.models.origins import RegistryOrigin
from citadelle.models.removal import remove_model
from citadelle.models.review import changed, diff, entry_from_registry
from citadelle.models.signing import replace

PurposeOption = Annotated[Purpose | None, typer.Option("--purpose", help="What the model is for.")]
LicenceOption = Annotated[str | None, typer.Option("--licence", help="Its licence as an SPDX id, e.g. Apache-2.0.")]


@app.command(name="lock")
def lock_models(
    names: Annotated[
        list[str] | None, typer.Argument(help="Models as the registry names them: mistral:latest.")
    ] = None,
    *,
    lock: LockOption = Path(LOCK),
    registry: RegistryOption = None,
    purpose: PurposeOption = None,
    licence: LicenceOption = None,
    remove: Annotated[list[str] | None, typer.Option("--remove", help="Take this model out; repeatable.")] = None,
    expires: Annotated[
        str | None, typer.Option("--expires", help="End of the lock, as 2027-12-31T00:00:00Z, or never.")
    ] = None,
) -> None:
    """Write what the registry serves today into the lock, under the next serial, and show the difference."""
    if not (names or remove or expires):
        raise SystemExit("nothing to lock: no model is named\nhint: citadelle models lock mistral:latest")
    old = read_lock(lock) if lock.exists() or remove else None
    with refusals("docs/models.md; nothing was changed"):
        wanted = [canonical_name(name) for name in names or []]
        gone = [_locked(old, name).name for name in remove or []]
        missing = [name for name in wanted if not (purpose and licence) and name not in _names(old)]
        if missing:
            raise SystemExit(f"new in the lock: {', '.join(missing)}\nhint: say --purpose and --licence")
        origin = RegistryOrigin(registry)
        entries = [_entry(origin, old, name, purpose, licence) for name in wanted]
        write(lock, old, changed(old, entries, gone, _end(expires)))


def _names(lock: ModelsLock | None) -> set[str]:
    return {model.name for model in (lock.models if lock else ())}


def _locked(lock: ModelsLock | None, name: str) -> LockedModel:
    try:
        return cast("ModelsLock", lock).model(name)
    except KeyError as error:
        raise verify.Refused(f"model is not in the lock: {error.args[0]}") from None


def _entry(
    origin: RegistryOrigin, old: ModelsLock | None, name: str, purpose: Purpose | None, licence: str | None
) -> LockedModel:
    before = _locked(old, name) if name in _names(old) else None
    kind = purpose or cast("LockedModel", before).purpose
    return entry_from_registry(origin, name, kind, licence or (before.licence if before else ""))


def _end(text: str | None) -> datetime | str | None:
    """For `changed`: "" keeps the end, None is no end."""
    if text in {None, "never"}:
        return "" if text is None else None
    hint = "hint: --expires 2027-12-31T00:00:00Z, or never"
    try:
        end = datetime.strptime(str(text), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise SystemExit(f"not a time: {text}\n{hint}") from None
    if end <= datetime.now(UTC):
        raise SystemExit(f"a time that is over: {text}\n{hint}")
    return end


def write(path: Path, old: ModelsLock | None, new: ModelsLock) -> None:
    """Show the difference and write the lock; its signatures are void then."""
    before = old.canonical() if old else b""
    if before == new.canonical():
        typer.echo(f"{path}: no change, serial {new.serial}")
        return
    typer.echo(diff(before, new.canonical(), path), nl=False)
    replace(path, new.canonical())
    typer.echo(
        f"{path}: serial {new.serial}; nobody has signed it; review it, then: citadelle models sign --key FILE",
        err=True,
    )


@app.command()
def gguf(
    recipe: Annotated[
        Path, typer.Argument(help="YAML file: what the model is made of; docs/models.md names its keys.")
    ],
    store: StoreOption,
    file: Annotated[Path | None, typer.Option("--file", help="The GGUF, where it is on this machine already.")] = None,
    lock: LockOption = Path(LOCK),
) -> None:
    """Bring a GGUF by its sha256 from a second source, lay it into a store under a manifest of ours, and lock that."""
    old = read_lock(lock) if lock.exists() else None
    with refusals("docs/models.md; the lock was not changed"), watcher() as watch:
        entry = make(read_recipe(recipe), store, Job(watch), file)
        write(lock, old, changed(old, [entry]))


@app.command()
def remove(
    names: Annotated[list[str], typer.Argument(help="Models as mistral:latest.")],
    store: StoreOption,
) -> None:
    """Take models out of a store: their manifests, and the blobs that no other model there needs. The lock stays as it is."""
    with refusals(f"citadelle models verify --store {store}"):
        for name in names:
            typer.echo(f"{store}: removed {name}: {len(remove_model(store, name))} files")
