"""`citadelle models`: the lock and the store of models on this controller. Exit codes: 0 right, 1 findings or a refusal, 2 wrong use."""

from __future__ import annotations

import json as json_module
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from citadelle.cli.options import JsonOption
from citadelle.cli.progress import amount, watcher
from citadelle.models import verify
from citadelle.models.fetch import Job, Watcher, fetch
from citadelle.models.keyring import private_key
from citadelle.models.lock import LockedModel, ModelsLock
from citadelle.models.origins import RegistryOrigin, local_origin
from citadelle.models.signing import Unsigned, sign_lock, signed_bytes

app = typer.Typer(no_args_is_help=True, help="Lock, sign, fetch and verify the models that hosts may serve.")
LOCK, KEYS = "policies/models.lock.json", "policies/models.keys/keyring.yaml"
LockOption = Annotated[Path, typer.Option("--lock", help="Lock file.")]
KeysOption = Annotated[Path, typer.Option("--keys", help="Keyring: whose signatures count.")]
StoreOption = Annotated[Path, typer.Option("--store", help="Ollama store on this machine.")]
RegistryOption = Annotated[
    str | None, typer.Option("--registry", help="Its address; default: https and the host in a model's name.")
]
UnsignedOption = Annotated[
    bool, typer.Option("--unsigned", help="Take a lock that is under review: its signatures are of another content.")
]
NamesOption = Annotated[list[str] | None, typer.Option("--model", help="Only this model of the lock; repeatable.")]


@contextmanager
def refusals(hint: str) -> Iterator[None]:
    """What is refused inside ends the command: what is wrong, the hint, exit code 1."""
    try:
        yield
    except (OSError, verify.Refused, ValidationError) as error:
        what = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)
        typer.echo(f"citadelle: {what}\nhint: {getattr(error, 'hint', hint)}", err=True)
        raise typer.Exit(1) from None


def read_lock(path: Path) -> ModelsLock:
    """The lock file, signed or not; exit code 2 where there is none."""
    if not path.is_file():
        raise SystemExit(f"lock is absent: {path}\nhint: run in the checkout, or give --lock")
    with refusals(f"git checkout -- {path}"):
        return ModelsLock.read(path)


def judged_lock(path: Path, keys: Path, *, unsigned: bool) -> ModelsLock:
    """The lock file as its signatures allow it, judged before it is parsed: signed, or told to be without any; exit code 1 for wrong ones.

    One without signatures passes here: it is what a person is reviewing, and no host is given it (`citadelle.models.approval`).
    """
    try:
        raw = signed_bytes(path, keys)
    except (OSError, verify.Refused) as error:
        if path.is_file() and not isinstance(error, Unsigned) and not unsigned:
            cure = "citadelle models sign --key FILE, or --unsigned while it is under review; docs/models.md"
            typer.echo(f"citadelle: lock is refused: {error}: {path}\nhint: {cure}", err=True)
            raise typer.Exit(1) from None
        lock = read_lock(path)
        typer.echo(f"lock is {error}" if isinstance(error, Unsigned) else f"lock is refused: {error}", err=True)
        return lock
    with refusals(f"git checkout -- {path}"):
        return ModelsLock.parse(raw)


def chosen(lock: ModelsLock, names: list[str] | None) -> list[LockedModel]:
    """The named models of the lock, all without names; exit code 2 for one that is not in it."""
    try:
        return [lock.model(name) for name in names or [model.name for model in lock.models]]
    except (KeyError, verify.Refused) as error:
        locked = ", ".join(model.short_name for model in lock.models)
        raise SystemExit(f"model is not in the lock: {error.args[0]}\nhint: locked are: {locked}") from None


@app.command(name="list")
def list_models(lock: LockOption = Path(LOCK), keys: KeysOption = Path(KEYS), json: JsonOption = False) -> None:
    """Show what is locked, and whether the lock is signed."""
    found = read_lock(lock)
    state = signature_state(lock, keys)
    if json:
        rows = [_row(model) for model in found.models]
        expires = found.expires.isoformat() if found.expires else None
        head = {"serial": found.serial, "expires": expires, "signature": state}
        typer.echo(json_module.dumps(head | {"models": rows}))
    else:
        table = Table("model", "for", "licence", "size", "digest")
        for model in found.models:
            size, digest = amount(model.size), model.manifest.digest.removeprefix("sha256:")[:12]
            table.add_row(model.short_name, model.purpose, model.licence, size, digest)
        Console(width=None if sys.stdout.isatty() else 140).print(table)
        ends = (
            f"{'expired' if found.expired() else 'expires'} {found.expires:%Y-%m-%dT%H:%M:%SZ}"
            if found.expires
            else "expires never"
        )
        typer.echo(f"serial {found.serial}, {ends}, {state}")


def _row(model: LockedModel) -> dict[str, str | int]:
    return {
        "name": model.short_name,
        "purpose": model.purpose,
        "licence": model.licence,
        "bytes": model.size,
        "digest": model.manifest.digest,
    }


def signature_state(lock: Path, keys: Path) -> str:
    """`signed`, or why it is not, in one line."""
    try:
        signed_bytes(lock, keys)
    except (OSError, verify.Refused) as error:
        return str(error) if isinstance(error, Unsigned) else f"refused: {error}"
    return "signed"


@app.command()
def sign(
    key: Annotated[Path, typer.Option("--key", help="Private key (Ed25519, PEM); its passphrase is asked for.")],
    lock: LockOption = Path(LOCK),
    keys: KeysOption = Path(KEYS),
) -> None:
    """Add one key's signature to `<lock>.sig`. Review what `git diff` shows first: this is the approval."""
    read_lock(lock)
    with refusals("docs/models.md: how to make, trust and use a key"):
        try:
            private = private_key(key)
        except TypeError:
            private = private_key(key, typer.prompt(f"Passphrase of {key}", hide_input=True, err=True).encode())
        made = sign_lock(lock, keys, private)
    if made.replaced:
        typer.echo("signatures of a former content were dropped", err=True)
    names = ", ".join(model.short_name for model in made.lock.models)
    typer.echo(f"signed: serial {made.lock.serial} of {lock}, {made.lock.digest}: {names}")
    more = made.threshold - made.valid
    typer.echo(f"{made.valid} of {made.threshold} needed signatures" + (f"; {more} more must sign" if more > 0 else ""))


@app.command(name="verify")
def verify_store(
    store: StoreOption,
    *,
    lock: LockOption = Path(LOCK),
    keys: KeysOption = Path(KEYS),
    model: NamesOption = None,
    unsigned: UnsignedOption = False,
    json: JsonOption = False,
) -> None:
    """Hash every file of a store: exit code 0 only when the store is exactly the lock (or the named models of it)."""
    locked = judged_lock(lock, keys, unsigned=unsigned)
    wanted = chosen(locked, model)
    with refusals(f"citadelle models fetch --store {store}"), watcher() as watch:
        report = judge(store, locked, wanted, watch)
    if json:
        typer.echo(json_module.dumps(report.as_dict()))
    for finding in [] if json else report.findings:
        typer.echo(f"{store}: {finding}", err=True)
    if not report.findings and not json:
        rate = report.bytes / report.seconds / 1e6
        typer.echo(
            f"{store}: the lock, {amount(report.bytes)} hashed, {rate:.0f} MB/s, {report.cpu_seconds:.1f} s of processor time"
        )
    raise typer.Exit(1 if report.findings else 0)


def judge(store: Path, lock: ModelsLock, wanted: list[LockedModel], watch: Watcher) -> verify.Report:
    """Verify the store against the wanted models, exactly. Raises OSError where there is none."""
    root = os.open(store, verify.OPEN | os.O_DIRECTORY)
    try:
        models = lock.checked([model.name for model in wanted])
        watch.begin("hashing", sum(item.entry.size for item in verify.expected_files(models).values()))
        return verify.verify(root, models, {0, os.geteuid()}, lock=lock.digest, told=watch.advance)
    finally:
        os.close(root)


@app.command(name="fetch")
def fetch_models(
    store: StoreOption,
    *,
    lock: LockOption = Path(LOCK),
    keys: KeysOption = Path(KEYS),
    model: NamesOption = None,
    unsigned: UnsignedOption = False,
    registry: RegistryOption = None,
    source: Annotated[
        Path | None, typer.Option("--from", help="Folder or tar archive of a store, instead of a registry.")
    ] = None,
) -> None:
    """Bring what is missing of the lock into a store; stopped or killed, the same command goes on where it was."""
    if registry and source:
        raise SystemExit("--registry and --from: only one place to fetch from\nhint: citadelle models fetch --help")
    locked = judged_lock(lock, keys, unsigned=unsigned)
    wanted = chosen(locked, model)
    local = "--from takes a folder with manifests/ and blobs/, or a tar archive of one"
    with refusals(local if source else "the same command goes on where it was; docs/models.md"), watcher() as watch:
        origin = local_origin(source) if source else RegistryOrigin(registry)
        done = fetch(store, locked, wanted, origin, Job(watch))
    names = ", ".join(one.short_name for one in wanted)
    typer.echo(f"{store}: holds {names}: {done.files} files brought, {amount(done.bytes)}")
