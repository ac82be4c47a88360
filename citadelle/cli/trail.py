"""The audit trails of the gateways, judged: on each host, where the key of the trail is, or a copy here with its key."""

from __future__ import annotations

import json as json_module
import shlex
from pathlib import Path
from typing import Annotated

import typer

from citadelle import anchors as kept
from citadelle import audit
from citadelle.cli.hosts import Serving, chosen
from citadelle.cli.options import HostOption, InventoryOption, JsonOption

SECONDS = 900  # for one host: a judge reads about 50,000 records a second
HINT = "keep a copy of the log as it is; then find out who could write to it. What is judged already: --since SEQ"


def verify(  # noqa: PLR0917  each is an option, by name
    path: Annotated[
        Path | None, typer.Argument(help="Folder or file of a copy; default: the log of each host.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="File with the key of that copy.")] = None,
    since: Annotated[int, typer.Option(min=1, help="Number of the first record to judge.")] = 1,
    anchor: Annotated[str, typer.Option(help="SEQ:MAC of a record that must be there.")] = "",
    anchors: Annotated[
        Path | None, typer.Option(help="File of anchors from elsewhere, one a line, that the copy has to hold against.")
    ] = None,
    public: Annotated[Path | None, typer.Option(help="Public key of these anchors, from the host.")] = None,
    host: HostOption = "*",
    inventory: InventoryOption = "inventory",
    json: JsonOption = False,
) -> None:
    """Judge every record: changed, missing, cut off, out of order, replayed. Names the first bad one."""
    if path and not key:
        raise SystemExit(
            f"a copy is judged with the key of its host: {path}\nhint: --key FILE; on the host it is {audit.KEY}"
        )
    if anchor and not audit.ANCHOR.fullmatch(anchor):
        raise SystemExit(
            f"not an anchor: {anchor}\nhint: SEQ:MAC, as `audit_anchor` in the gateway's log gives count and mac"
        )
    if anchors and not (path and public):
        raise SystemExit(
            f"anchors are held against a copy, by their public key: {anchors}\n"
            "hint: citadelle audit verify COPY --key FILE --anchors FILE --public FILE"
        )
    if path and key:
        rows = [_here(path, key, since, anchor)]
        if anchors and public and rows[0]["ok"]:
            rows.append(_anchored(path, key, anchors, public, since))
    else:
        words = [*(["--since", str(since)] if since > 1 else []), *(["--anchor", anchor] if anchor else [])]
        rows = [_there(serving, words) for serving in chosen(inventory, host)]
    _show(rows, json)
    raise typer.Exit(0 if all(row["ok"] for row in rows) else 1)


def _here(path: Path, key: Path, since: int, anchor: str) -> dict:
    try:
        return _row(str(path), True, audit.verify(path, audit.read_key(key), since, anchor))
    except (audit.Problem, OSError, ValueError) as problem:
        return _row(str(path), False, str(problem))


def _anchored(path: Path, key: Path, anchors: Path, public: Path, since: int) -> dict:
    try:
        given = kept.read(anchors.read_text().splitlines(), public.read_bytes())
        return _row(str(anchors), True, kept.judge(path, audit.read_key(key), given, since))
    except (audit.Problem, OSError, ValueError) as problem:
        return _row(str(anchors), False, str(problem))


def _there(serving: Serving, words: list[str]) -> dict:
    try:
        result = serving.run(f"python3 -I -B {audit.PROGRAM} {shlex.join(words)}", seconds=SECONDS)
    except OSError as error:
        what, hint = serving.problem(error)
        return _row(serving.pc, False, what) | {"hint": hint}
    said = (result.stderr if result.code else result.stdout).decode(errors="replace").strip()
    return _row(serving.pc, not result.code, said or f"exit code {result.code}: {audit.PROGRAM}")


def _row(where: str, ok: bool, found: str) -> dict:
    return {"host": where, "ok": ok, "found": found} | ({} if ok else {"hint": HINT})


def _show(rows: list[dict], json: bool) -> None:
    if json:
        typer.echo(json_module.dumps(rows))
    for row in [] if json else rows:
        text = f"{row['host']}: {row['found']}"
        typer.echo(text if row["ok"] else f"{text}\nhint: {row['hint']}", err=not row["ok"])
