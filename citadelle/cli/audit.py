"""Judge a saved state of a PC, on any machine and without the PC."""

from __future__ import annotations

import json as json_module
from collections import Counter
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from citadelle.cli.options import JsonOption
from citadelle.hardening.accelerators import accelerators
from citadelle.hardening.judge import Verdict, judge
from citadelle.hardening.state import State, StateError
from citadelle.hardening.table import Table, TableError
from citadelle.hardening.waivers import load_waivers

app = typer.Typer(no_args_is_help=True, help="Judge saved states of PCs, and the audit trails of gateways.")
SAVE = "set hardening_states to a folder, then pyinfra --dry inventory deploy.py writes a state for each PC"


@app.command()
def windows(  # noqa: PLR0917  each is an option, by name
    state: Annotated[Path, typer.Argument(help="State of a Windows PC, as the role `hardening` saves it.")],
    host: Annotated[str, typer.Option(help="Name for waivers; default: the file's name without its ending.")] = "",
    group: Annotated[list[str] | None, typer.Option(help="Group for waivers; may be repeated.")] = None,
    controls: Annotated[Path, typer.Option(help="Table of controls.")] = Path("policies/windows.yaml"),
    waivers: Annotated[Path, typer.Option(help="Accepted deviations.")] = Path("policies/waivers.yaml"),
    french: Annotated[bool, typer.Option("--french", help="Titles in French.")] = False,
    json: JsonOption = False,
) -> None:
    """Judge every control. Exit code 0: all right or accepted; 1: something deviates or is unknown; 2: wrong use."""
    name = host or state.stem
    try:
        seen = State.read(state)
        table = Table.load(controls)
        accepted = load_waivers(waivers, table)
    except (OSError, StateError) as error:
        raise SystemExit(f"{state}: {error}\nhint: {SAVE}") from None
    except TableError as error:
        raise SystemExit(f"{error}\nhint: run in the checkout, or give --controls and --waivers") from None
    found = judge(seen, table, accepted, host=name, groups=group or ["windows"], today=date.today())
    if json:
        rows = [verdict.as_dict() for verdict in found]
        devices = [asdict(device) for device in accelerators(seen)]
        typer.echo(json_module.dumps({"host": name, "controls": rows, "accelerators": devices}, ensure_ascii=False))
    else:
        _print(name, seen, found, french)
    raise typer.Exit(1 if any(verdict.deviates for verdict in found) else 0)


def _print(name: str, state: State, found: list[Verdict], french: bool) -> None:
    for verdict in found:
        if verdict.status != "pass":
            typer.echo(verdict.line(name, "fr" if french else "en"))
    for device in accelerators(state):
        typer.echo(f"{name}: {device.kind}: {device.name} ({device.vendor}): {device.use}")
    counts = Counter(verdict.status for verdict in found)
    typer.echo(
        f"{name}: {len(found)} controls: " + ", ".join(f"{count} {status}" for status, count in counts.most_common())
    )
