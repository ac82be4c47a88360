"""Alerts of the hosts: a test alert through every receiver, and whether it was delivered."""

from __future__ import annotations

import json as json_module
from typing import Any

import typer

from citadelle.cli.hosts import Serving, chosen, side_by_side
from citadelle.cli.options import HostOption, InventoryOption, JsonOption
from citadelle.observability.alerts import PROGRAM, SECONDS

app = typer.Typer(no_args_is_help=True, help="Alerts of the hosts: do they arrive?")
HINT = "journalctl -t citadelle/citadelle-alertmanager-1 -n 20; journalctl -u citadelle-relay -n 20; docs/runbooks/AlertDeliveryFailing.md"


@app.callback()
def _group() -> None:
    """So that `test` is a word of its own."""


@app.command("test")
def tried(host: HostOption = "*", inventory: InventoryOption = "inventory", json: JsonOption = False) -> None:
    """Send an alert that says it is a test through every receiver of each host, and wait for what comes of it."""
    rows = side_by_side(_tested, chosen(inventory, host))
    if json:
        typer.echo(json_module.dumps(rows))
    for row in [] if json else rows:
        typer.echo(_line(row), err=not row["ok"])
    raise typer.Exit(0 if all(row["ok"] for row in rows) else 1)


def _tested(serving: Serving) -> dict[str, Any]:
    try:
        result = serving.run(f"python3 -I -B {PROGRAM} test", SECONDS + 30)
    except OSError as error:
        what, hint = serving.problem(error)
        return {"host": serving.pc, "ok": False, "error": what, "hint": hint}
    if result.code not in (0, 1) or not result.stdout:
        what, _, hint = result.stderr.decode(errors="replace").strip().partition("\nhint: ")
        return {
            "host": serving.pc,
            "ok": False,
            "error": what or f"exit code {result.code}: {PROGRAM}",
            "hint": hint or HINT,
        }
    found = json_module.loads(result.stdout)
    return {"host": serving.pc, "ok": result.code == 0, "receivers": found} | ({"hint": HINT} if result.code else {})


def _line(row: dict[str, Any]) -> str:
    said = row.get("error") or ", ".join(
        f"{name}: {'delivered' if one['delivered'] else 'not delivered'}" for name, one in row["receivers"].items()
    )
    return f"{row['host']}: {said}" + ("" if row["ok"] else f"\nhint: {row['hint']}")
