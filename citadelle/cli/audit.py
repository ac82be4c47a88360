"""Judge a saved state of a host, on any machine and without the host."""

from __future__ import annotations

import json as json_module
from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from citadelle.cli.controls import CONTROLS, WAIVERS, counted, tables
from citadelle.cli.options import JsonOption
from citadelle.hardening.accelerators import accelerators
from citadelle.hardening.judge import Verdict, judge
from citadelle.hardening.linux import parse as parse_linux
from citadelle.hardening.state import State, StateError

app = typer.Typer(no_args_is_help=True, help="Judge saved states of hosts, and the audit trails of gateways.")
SAVE = "set hardening_states to a folder, then pyinfra --dry inventory deploy.py writes a state for each host"

StateFile = Annotated[Path, typer.Argument(help="State of a host, as the role `hardening` saves it.")]
Host = Annotated[str, typer.Option(help="Name for waivers; default: the file's name without its ending.")]
Group = Annotated[list[str] | None, typer.Option(help="Group for waivers; may be repeated.")]
Controls = Annotated[Path, typer.Option(help="Table of controls.")]
Waivers = Annotated[Path, typer.Option(help="Accepted deviations.")]
French = Annotated[bool, typer.Option("--french", help="Titles in French.")]


@app.command()
def windows(  # noqa: PLR0917  each is an option, by name
    state: StateFile,
    host: Host = "",
    group: Group = None,
    controls: Controls = CONTROLS["windows"],
    waivers: Waivers = WAIVERS,
    french: French = False,
    json: JsonOption = False,
) -> None:
    """Judge every control of a Windows PC. Exit code 0: all right or accepted; 1: something deviates or is unknown; 2: wrong use."""
    seen = _read(state, State.parse)
    found = _judge(seen, host or state.stem, group or ["windows"], controls, waivers, "windows")
    _report(host or state.stem, seen, found, json, french)


@app.command()
def linux(  # noqa: PLR0917  each is an option, by name
    state: StateFile,
    host: Host = "",
    group: Group = None,
    controls: Controls = CONTROLS["linux"],
    waivers: Waivers = WAIVERS,
    french: French = False,
    json: JsonOption = False,
) -> None:
    """Judge every control of a Linux host or WSL distribution. Exit code 0: all right or accepted; 1: something deviates or is unknown;
    2: wrong use.
    """
    seen = _read(state, parse_linux)
    kind = seen.sections.get("platform", {}).get("kind")
    found = _judge(seen, host or state.stem, group or ["wsl" if kind == "wsl" else "linux"], controls, waivers, "linux")
    _report(host or state.stem, seen, found, json, french)


def _read(path: Path, parse: Callable[[Any], State]) -> State:
    try:
        return State.read(path, parse)
    except (OSError, StateError) as error:
        raise SystemExit(f"{path}: {error}\nhint: {SAVE}") from None


def _judge(  # noqa: PLR0917  each an option of the command
    state: State, name: str, groups: list[str], controls: Path, waivers: Path, system: Literal["windows", "linux"]
) -> list[Verdict]:
    table, accepted = tables(controls, waivers, system)
    return judge(state, table, accepted, host=name, groups=groups, today=date.today())


def _report(name: str, state: State, found: list[Verdict], json: bool, french: bool) -> None:
    if json:
        rows = [verdict.as_dict() for verdict in found]
        devices = [asdict(device) for device in accelerators(state)]
        typer.echo(json_module.dumps({"host": name, "controls": rows, "accelerators": devices}, ensure_ascii=False))
    else:
        _print(name, state, found, french)
    raise typer.Exit(1 if any(verdict.deviates for verdict in found) else 0)


def _print(name: str, state: State, found: list[Verdict], french: bool) -> None:
    for verdict in found:
        if verdict.status != "pass":
            typer.echo(verdict.line(name, "fr" if french else "en"))
    for device in accelerators(state):
        typer.echo(f"{name}: {device.kind}: {device.told} ({device.vendor}): {device.use}")
    typer.echo(f"{name}: {counted(found)}")
