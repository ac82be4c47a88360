"""The script that a person runs on one real PC: it shows what no double of Windows can."""

from __future__ import annotations

from importlib.resources import files

import typer


def live_check() -> None:
    """Print the script that checks one real PC, read-only: save it as live-check.ps1, run it there (docs/live-windows.md)."""
    typer.echo(files("citadelle.cli").joinpath("live_check.ps1").read_text("utf-8"), nl=False)
