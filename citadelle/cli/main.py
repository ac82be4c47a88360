"""Commands and exit codes: 0 all right, 1 findings or a failure, 2 wrong use."""

from __future__ import annotations

import json as json_module
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from citadelle.cli import audit, escrow, gateway, image_lock, keys, lock, trail
from citadelle.cli import doctor as doctor_checks
from citadelle.cli.hosts import Serving
from citadelle.cli.options import HostOption, InventoryOption, JsonOption, chosen
from citadelle.facts.stack import StackState

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Ask, show and judge the hosts of an inventory; build their images; lock, sign, fetch and verify their models.",
)
audit.app.command()(trail.verify)
app.add_typer(audit.app, name="audit")
app.add_typer(escrow.app, name="escrow")
app.add_typer(image_lock.app, name="images")
app.add_typer(keys.app, name="keys")
app.add_typer(lock.app, name="models")


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="What to ask.")],
    host: HostOption = "*",
    inventory: InventoryOption = "inventory",
    json: JsonOption = False,
) -> None:
    """Ask one question through the gateway of each host, over the host's own SSH connection."""
    answers = [_answer(serving, question) for serving in chosen(inventory, host)]
    if json:
        typer.echo(json_module.dumps(answers, ensure_ascii=False))
    for answer in [] if json else answers:
        if "error" in answer:
            typer.echo(f"{answer['host']}: {answer['error']}\nhint: {answer['hint']}", err=True)
        else:
            typer.echo(f"{answer['host']} ({answer['seconds']:.1f} s): {answer['answer']}")
    raise typer.Exit(1 if any("error" in answer for answer in answers) else 0)


def _answer(serving: Serving, question: str) -> dict:
    said = gateway.ask(serving, question)
    outcome = {"error": said.error, "hint": said.hint} if said.error else {"answer": said.text}
    return {"host": serving.pc, "seconds": round(said.seconds, 3)} | outcome


@app.command()
def status(host: HostOption = "*", inventory: InventoryOption = "inventory", json: JsonOption = False) -> None:
    """Show what runs on each host."""
    rows = [_status(serving) for serving in chosen(inventory, host)]
    if json:
        typer.echo(json_module.dumps(rows))
    else:
        table = Table("host", "release", "services", "state")
        for row in rows:
            table.add_row(row["host"], row["release"], row["services"], row["state"])
        Console(width=None if sys.stdout.isatty() else 140).print(table)
    raise typer.Exit(0 if all(row["state"] == "ok" for row in rows) else 1)


def _status(serving: Serving) -> dict[str, str]:
    try:
        state: StackState = serving.stack()
    except OSError as error:
        return {"host": serving.pc, "release": "-", "services": "-", "state": serving.problem(error)[0]}
    problems = state.problems(state.current) if state.current else [doctor_checks.NOTHING]
    services = ", ".join(f"{name}: {service.status}" for name, service in sorted(state.services.items()))
    return {
        "host": serving.pc,
        "release": state.current or "-",
        "services": services or "-",
        "state": "; ".join(problems) or "ok",
    }


@app.command()
def doctor(host: HostOption = "*", inventory: InventoryOption = "inventory", json: JsonOption = False) -> None:
    """Judge the controller and each host; every finding has a stable id and a next step."""
    found = [
        *doctor_checks.controller(),
        *(check for serving in chosen(inventory, host) for check in doctor_checks.host(serving)),
    ]
    if json:
        typer.echo(json_module.dumps([check.as_dict() for check in found]))
    else:
        for check in found:
            typer.echo(check.line())
    raise typer.Exit(0 if all(check.ok for check in found) else 1)


def run() -> None:
    """Entry point; refusals of the inventory are usage errors."""
    try:
        app(prog_name="citadelle")
    except SystemExit as ended:
        if isinstance(ended.code, str):
            typer.echo(ended.code, err=True)
            sys.exit(2)
        raise
