"""Keys of the gateways: the program on each host makes and keeps them, this one asks it over SSH and shows a new key once."""

from __future__ import annotations

import json as json_module
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from citadelle.cli.hosts import Serving, chosen
from citadelle.cli.options import HostOption, InventoryOption, JsonOption
from citadelle.keys import LIMITS, PROGRAM, ROUTES

app = typer.Typer(no_args_is_help=True, help="Keys of the gateways: who may ask, what, how much, until when.")
IdArgument = Annotated[
    str,
    typer.Argument(metavar="ID", help="Name of the holder, as `citadelle audit resolve` gives it; never used twice."),
]
_AGES = {"d": "days", "h": "hours"}


@app.command()
def create(  # noqa: PLR0917  each is an option, by name
    identity: IdArgument,
    expires: Annotated[
        str, typer.Option(help="After a time (90d, 12h), on a day (2030-12-31, to its end, UTC), or never.")
    ] = "90d",
    model: Annotated[list[str] | None, typer.Option(help="Only this model; may be repeated.")] = None,
    route: Annotated[list[str] | None, typer.Option(help=f"Only this kind of request: {', '.join(ROUTES)}.")] = None,
    group: Annotated[list[str] | None, typer.Option(help="A group of the holder, for documents.")] = None,
    rag: Annotated[bool, typer.Option(help='Answers from documents, unless a request says `"rag": false`.')] = False,
    limit: Annotated[list[str] | None, typer.Option(help=f"NAME=NUMBER, of {', '.join(LIMITS)}.")] = None,
    host: HostOption = "*",
    inventory: InventoryOption = "inventory",
    json: JsonOption = False,
) -> None:
    """Make a key on each host. It is shown here and now, and stored nowhere."""
    scope: dict[str, Any] = {
        "models": model,
        "routes": route,
        "groups": group,
        "limits": _limits(limit or []),
        "rag": rag,
    }
    scope["expires"] = _moment(expires)
    given = json_module.dumps({name: value for name, value in scope.items() if value})
    _each(
        chosen(inventory, host), ["create", identity, given], json,
        lambda pc, said: typer.echo(f"{pc}: {identity}: {said['key']}"),
    )  # fmt: skip


@app.command("list")
def show(host: HostOption = "*", inventory: InventoryOption = "inventory", json: JsonOption = False) -> None:
    """Show the keys of each host: whose, since when, until when, for what. Never the keys."""
    _each(chosen(inventory, host), ["list"], json, _table)


@app.command()
def revoke(
    identity: IdArgument, host: HostOption = "*", inventory: InventoryOption = "inventory", json: JsonOption = False
) -> None:
    """End a key on each host, from the next request on."""
    _each(chosen(inventory, host), ["revoke", identity], json, lambda pc, _: typer.echo(f"{pc}: {identity}: revoked"))


def _each(hosts: list[Serving], words: list[str], json: bool, show_one: Callable[[str, Any], None]) -> None:
    """The same on every host; one that fails is said, the others go on, and the exit code is 1."""
    rows, failed = [], False
    for serving in hosts:
        try:
            said = _run(serving, words)
        except (OSError, ValueError) as error:
            what, hint = serving.problem(error)
            typer.echo(f"{serving.pc}: {what}\nhint: {hint}", err=True)
            failed = True
            continue
        rows.append({"host": serving.pc} | (said or {}))
        if not json:
            show_one(serving.pc, said)
    if json:
        typer.echo(json_module.dumps(rows))
    raise typer.Exit(1 if failed else 0)


def _run(serving: Serving, words: list[str]) -> Any:
    # The command line holds names and limits. A key exists only in the answer, which goes to whoever asked and to no log.
    said = serving.answer(PROGRAM, words)
    return json_module.loads(said) if said else None


def _table(pc: str, said: Any) -> None:
    table = Table(
        "id", "state", "created", "expires", "models", "routes", "groups", "limits", title=pc, title_justify="left"
    )
    for key in said["keys"]:
        lists = [", ".join(key.get(name, [])) or "all" for name in ("models", "routes")]
        limits = ", ".join(f"{name}={value}" for name, value in key.get("limits", {}).items()) or "policy"
        groups = (", ".join(key.get("groups", [])) or "-") + (" (rag)" if key.get("rag") else "")
        table.add_row(key["id"], _state(key), key["created"], key.get("expires", "never"), *lists, groups, limits)
    Console(width=160).print(table)


def _state(key: dict[str, Any]) -> str:
    if "revoked" in key:
        return f"revoked {key['revoked']}"
    expires = key.get("expires")
    return "expired" if expires and datetime.fromisoformat(expires) <= datetime.now(UTC) else "in force"


def _moment(text: str) -> str | None:
    if text == "never":
        return None
    if age := re.fullmatch(r"(\d{1,5})([dh])", text):
        return f"{datetime.now(UTC) + timedelta(**{_AGES[age[2]]: int(age[1])}):%Y-%m-%dT%H:%M:%SZ}"
    try:
        return f"{datetime.strptime(text, '%Y-%m-%d').replace(tzinfo=UTC):%Y-%m-%d}T23:59:59Z"
    except ValueError:
        raise SystemExit(f"not a time: {text}\nhint: 90d, 12h, 2030-12-31 or never") from None


def _limits(texts: list[str]) -> dict[str, int]:
    wrong = [text for text in texts if not re.fullmatch(rf"({'|'.join(LIMITS)})=[1-9]\d{{0,14}}", text)]
    if wrong:
        raise SystemExit(f"not a limit: {', '.join(wrong)}\nhint: NAME=NUMBER, of {', '.join(LIMITS)}")
    return {name: int(value) for name, _, value in (text.partition("=") for text in texts)}
