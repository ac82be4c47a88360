"""Pseudonyms of keys in the audit trails: the program on each host knows them, this one asks it over SSH."""

from __future__ import annotations

import json as json_module
from typing import Annotated

import typer

from citadelle import pseudonyms
from citadelle.cli.hosts import Serving, chosen
from citadelle.cli.options import HostOption, InventoryOption, JsonOption


def resolve(
    name: Annotated[str, typer.Argument(help="A pseudonym, as p3:09af..., or the id of a key.")],
    host: HostOption = "*",
    inventory: InventoryOption = "inventory",
    json: JsonOption = False,
) -> None:
    """Whose a pseudonym of the audit trail is; of an id, all its pseudonyms, as far as their secrets are kept."""
    rows, failed = [], False
    for serving in chosen(inventory, host):
        try:
            rows += [
                {"host": serving.pc} | row
                for row in json_module.loads(serving.answer(pseudonyms.PROGRAM, ["resolve", name]))
            ]
        except (OSError, ValueError) as error:
            failed = True
            _say(serving, error)
    if json:
        typer.echo(json_module.dumps(rows))
    for row in [] if json else rows:
        typer.echo(f"{row['host']}: {row['name']} is {row['id']}; names of that kind since {row['begin']}")
    if not rows and not failed:
        hint = "its secret was destroyed with the records of its time; of a key: citadelle keys list"
        typer.echo(f"no pseudonym or key of these hosts: {name}\nhint: {hint}", err=True)
    raise typer.Exit(1 if failed or not rows else 0)


def rotate(host: HostOption = "*", inventory: InventoryOption = "inventory") -> None:
    """Have every key be called another name from now on. By itself that happens every `stack_pseudonym_days`."""
    failed = False
    for serving in chosen(inventory, host):
        try:
            serving.answer(pseudonyms.PROGRAM, ["rotate"])
        except OSError as error:
            failed = True
            _say(serving, error)
        else:
            typer.echo(f"{serving.pc}: new pseudonyms from now on")
    raise typer.Exit(1 if failed else 0)


def _say(serving: Serving, error: Exception) -> None:
    what, hint = serving.problem(error)
    typer.echo(f"{serving.pc}: {what}\nhint: {hint}", err=True)
