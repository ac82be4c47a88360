"""Recovery keys of volumes: what is kept, whether it is right, and one of them in clear for the day it is needed."""

from __future__ import annotations

import getpass
import json as json_module
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any

import typer
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from rich.console import Console
from rich.table import Table

from citadelle.cli.options import JsonOption
from citadelle.escrow.seal import SealError, fingerprint, is_encrypted, open_sealed, read_private
from citadelle.escrow.store import Entry, Escrow, Kept
from citadelle.pointers import path

app = typer.Typer(
    no_args_is_help=True, help="Recovery keys of encrypted volumes, kept as ciphertext on this controller."
)
Row = tuple[str, str, Kept]
FolderOption = Annotated[Path | None, typer.Option("--escrow", help="Folder of the keys; default: CITADELLE_ESCROW.")]
CopyOption = Annotated[Path | None, typer.Option("--copy", help="Their second folder; default: CITADELLE_ESCROW_COPY.")]
KeyOption = Annotated[Path | None, typer.Option("--key", help="File of the private key; its password is asked for.")]
PasswordOption = Annotated[
    Path | None, typer.Option("--password-file", help="File with the password of the private key.")
]


def escrow(folder: Path | None, copy: Path | None) -> Escrow:
    """The folders that are meant. Raises SystemExit where the first is absent."""
    found = Escrow(
        folder or Path(path("CITADELLE_ESCROW", "~/.local/share/citadelle/escrow")),
        copy or Path(path("CITADELLE_ESCROW_COPY", "~/.local/share/citadelle/escrow.copy")),
    )
    if not any(one.is_dir() for one in found.folders):
        raise SystemExit(
            f"no escrow here: {found.folder}\nhint: set CITADELLE_ESCROW in .env, or give --escrow and --copy"
        )
    return found


def private_key(file: Path, password: Path | None) -> RSAPrivateKey:
    """The private key; its password comes from a file or from the terminal, never from an argument. Raises SystemExit."""
    try:
        secret = _password(file, password) if is_encrypted(file) else None
        return read_private(file, secret)
    except OSError as error:
        raise SystemExit(f"file cannot be read: {error.filename}: {error.strerror}\nhint: give another one") from None
    except SealError as error:
        raise SystemExit(f"private key {error}: {file}\nhint: docs/bitlocker.md") from None


def _password(file: Path, password: Path | None) -> bytes:
    if password:
        return password.read_bytes().rstrip(b"\r\n")
    if not sys.stdin.isatty():
        raise SystemExit(f"private key is encrypted: {file}\nhint: --password-file, or run in a terminal")
    return getpass.getpass(f"password of {file}: ").encode()


@app.command("list")
def show_all(folder: FolderOption = None, copy: CopyOption = None, json: JsonOption = False) -> None:
    """Show which keys are kept: PC, volume, protector, since when, sealed to which key. Never a recovery key."""
    rows = [_row(*one) for one in _rows(escrow(folder, copy))]
    if json:
        typer.echo(json_module.dumps(rows))
        return
    table = Table("host", "volume", "protector", "kept since", "operator's key", "also in", "replaced", "copies")
    for row in rows:
        copies = "; ".join(row["problems"]) or "2"
        others = ", ".join(row["backups"]) or "-"
        table.add_row(
            row["host"],
            row["volume"],
            row["protector"],
            row["created"],
            row["key"][:16],
            others,
            row["replaced"] or "-",
            copies,
        )
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def _rows(found: Escrow, pattern: str = "*") -> list[Row]:
    return [(host, name, _find(found, host, name)) for host, name in found.names() if fnmatchcase(host, pattern)]


def _find(found: Escrow, host: str, name: str) -> Kept:
    try:
        return found.find(host, name)
    except ValueError as error:
        return Kept(problems=(str(error),))


def _row(host: str, protector: str, kept: Kept) -> dict[str, Any]:
    entry = kept.entry or Entry(host, "?", protector, "?", "?", "")
    named = {name: getattr(entry, name) for name in ("host", "volume", "protector", "created", "key", "replaced")}
    return named | {"backups": list(entry.backups), "problems": list(kept.problems)}


@app.command()
def show(  # noqa: PLR0917  each is an option, by name
    host: Annotated[str, typer.Argument(metavar="PC", help="Name of the PC.")],
    key: Annotated[Path, typer.Option("--key", help="File of the private key; its password is asked for.")],
    volume: Annotated[str | None, typer.Option(help="Only this volume, as C:")] = None,
    protector: Annotated[str | None, typer.Option(help="Only the key whose id begins so, as the PC's screen shows it.")] = None,
    reveal: Annotated[bool, typer.Option("--reveal", help="Print the recovery key; otherwise only whether it opens.")] = False,
    password_file: PasswordOption = None,
    folder: FolderOption = None,
    copy: CopyOption = None,
) -> None:  # fmt: skip
    """Open the keys of a PC. They are printed only with --reveal: on the day that a volume asks for one."""
    rows = [one for one in _rows(escrow(folder, copy), host) if _is_meant(one, volume, protector)]
    if not rows:
        raise SystemExit(f"no such key in escrow: {host} {volume or ''} {protector or ''}\nhint: citadelle escrow list")
    private = private_key(key, password_file)
    problems = [problem for one in rows for problem in _open(one, private, reveal=reveal)]
    raise typer.Exit(_tell(problems))


def _is_meant(row: Row, volume: str | None, protector: str | None) -> bool:
    entry = row[2].entry
    right = entry is None or volume is None or entry.volume.rstrip(":").upper() == volume.rstrip(":").upper()
    return right and row[1].strip("{}").startswith((protector or "").strip("{}").upper())


def _open(row: Row, private: RSAPrivateKey, *, reveal: bool) -> list[str]:
    host, name, kept = row
    if kept.entry is None:
        return [f"{host}: {'; '.join(kept.problems)}: {name}"]
    if problem := _judge(kept.entry, private):
        return [f"{host}: {kept.entry.volume} key {problem}: {name}"]
    if reveal:
        password = open_sealed(private, kept.entry.identity, kept.entry.sealed)
        typer.echo(f"{host} {kept.entry.volume} {name}: {password}")
    else:
        typer.echo(f"{host} {kept.entry.volume} {name}: opens, 8 right groups; --reveal prints it")
    return []


def _judge(entry: Entry, private: RSAPrivateKey) -> str:
    """Why an entry does not open; empty where it does. Nothing of the key is told."""
    if entry.key != fingerprint(private.public_key()):
        return "is sealed to another private key"
    try:
        open_sealed(private, entry.identity, entry.sealed)
    except SealError as error:
        return str(error)
    return ""


@app.command()
def verify(
    key: KeyOption = None, password_file: PasswordOption = None, folder: FolderOption = None, copy: CopyOption = None
) -> None:
    """Judge every copy by its checksum, and with --key open each ciphertext: right PC, right volume, 8 right groups. Prints no key."""
    found = escrow(folder, copy)
    rows = _rows(found)
    problems = [f"{host}: {problem}" for host, _, kept in rows for problem in kept.problems]
    if key:
        private = private_key(key, password_file)
        problems += [
            f"{host}: {kept.entry.volume} key {problem}: {name}"
            for host, name, kept in rows
            if kept.entry and (problem := _judge(kept.entry, private))
        ]
    if not problems:
        typer.echo(f"{found.folder}: {len(rows)} keys, two right copies of each{', each opens' if key else ''}")
    raise typer.Exit(_tell(problems))


def _tell(problems: list[str]) -> int:
    for problem in problems:
        typer.echo(f"{problem}\nhint: the next run mends a copy; docs/bitlocker.md", err=True)
    return 1 if problems else 0
