"""Commands and exit codes: 0 all right, 1 findings or a failure, 2 wrong use."""

from __future__ import annotations

import json as json_module
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from citadelle.cli import (
    alerts,
    audit,
    certificates,
    escrow,
    gateway,
    image_lock,
    keys,
    live,
    lock,
    pseudonyms,
    rag,
    trail,
)
from citadelle.cli import doctor as doctor_checks
from citadelle.cli.controls import look
from citadelle.cli.hosts import Serving, WindowsSide, both_sides, chosen, side_by_side
from citadelle.cli.options import HostOption, InventoryOption, JsonOption
from citadelle.facts.stack import StackState

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Ask, show and judge the hosts of an inventory; build their images; lock, sign, fetch and verify their models.",
)
audit.app.command()(trail.verify)
audit.app.command()(pseudonyms.resolve)
audit.app.command()(pseudonyms.rotate)
app.add_typer(alerts.app, name="alerts")
app.command()(live.live_check)
app.add_typer(audit.app, name="audit")
app.add_typer(certificates.app, name="certificates")
app.add_typer(escrow.app, name="escrow")
app.add_typer(image_lock.app, name="images")
app.add_typer(keys.app, name="keys")
app.add_typer(lock.app, name="models")
app.add_typer(rag.app, name="rag")
COLUMNS = ("host", "release", "services", "controls", "state")


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
    """Show what runs on each host, and how its Windows stands."""
    rows = _by_pc(side_by_side(_status, both_sides(inventory, host)))
    if json:
        typer.echo(json_module.dumps(rows))
    else:
        table = Table(*COLUMNS)
        for row in rows:
            table.add_row(*(row[name] for name in COLUMNS))
        Console(width=None if sys.stdout.isatty() else 140).print(table)
    raise typer.Exit(0 if all(row["state"] == "ok" for row in rows) else 1)


def _status(one: Serving | WindowsSide) -> dict[str, str]:
    """What one side of a PC says of itself: columns, and `state` with what is wrong."""
    try:
        judged = look(one)
        side = {"host": one.pc, "controls": judged.count, "state": judged.problem}
        if not isinstance(one, Serving):
            return side
        release, services, problems = _stack(one.stack())
        problems += filter(None, [judged.problem])
        return side | {"release": release, "services": services, "state": "; ".join(problems)}
    except OSError as error:
        return {"host": one.pc, "state": one.problem(error)[0]}


def _by_pc(sides: list[dict[str, str]]) -> list[dict[str, str]]:
    """One row for each PC, of its one or two sides."""
    rows: dict[str, dict[str, str]] = {}
    for side in sides:
        row = rows.setdefault(side["host"], dict.fromkeys(COLUMNS, "-") | {"state": ""})
        row |= side | {name: _joined(row[name], side.get(name, "-")) for name in ("controls", "state")}
    return [row | {"state": row["state"] or "ok"} for row in rows.values()]


def _joined(*texts: str) -> str:
    """What both sides of a PC say, each once."""
    return "; ".join(dict.fromkeys(text for text in texts if text.strip("-"))) or texts[0]


def _stack(state: StackState) -> tuple[str, str, list[str]]:
    """Its release, its services, and what is wrong with them."""
    problems = state.problems(state.current) if state.current else [doctor_checks.NOTHING]
    services = ", ".join(f"{name}: {service.status}" for name, service in sorted(state.services.items()))
    return state.current or "-", services or "-", problems


@app.command()
def doctor(host: HostOption = "*", inventory: InventoryOption = "inventory", json: JsonOption = False) -> None:
    """Judge the controller and each host, its Windows too; every finding has a stable id and a next step."""
    found = [*doctor_checks.controller(), *doctor_checks.judge(both_sides(inventory, host))]
    if json:
        typer.echo(json_module.dumps([check.as_dict() for check in found]))
    else:
        for check in found:
            if not (check.ok and check.is_control):
                typer.echo(check.line())
    raise typer.Exit(0 if all(check.ok for check in found) else 1)
