"""Options that several commands have, and the hosts that they name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from citadelle.cli.hosts import Serving, WindowsSide, all_hosts, serving_hosts

HostOption = Annotated[str, typer.Option("--host", help="Name of a PC, or a pattern such as 'paris-*'; default: all.")]
InventoryOption = Annotated[str, typer.Option("--inventory", help="Inventory folder or file.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def chosen(inventory: str, pattern: str) -> list[Serving]:
    """The serving hosts that the options name. Raises SystemExit, with what is wrong, when there is none."""
    _refuse_absent(inventory)
    found = serving_hosts(inventory, pattern)
    if not found:
        raise SystemExit(
            f"no serving host in {inventory} matches: {pattern}\nhint: names are those of the groups wsl and linux"
        )
    return found


def both_sides(inventory: str, pattern: str) -> list[Serving | WindowsSide]:
    """The hosts that the options name, Windows itself too. Raises SystemExit, with what is wrong, when there is none."""
    _refuse_absent(inventory)
    found = all_hosts(inventory, pattern)
    if not found:
        raise SystemExit(
            f"no host in {inventory} matches: {pattern}\nhint: names are those of the groups windows, wsl and linux"
        )
    return found


def _refuse_absent(inventory: str) -> None:
    if not Path(inventory).exists():
        raise SystemExit(f"inventory is absent: {inventory}\nhint: run in the checkout, or give --inventory")
