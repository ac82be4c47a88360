"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

HostOption = Annotated[str, typer.Option("--host", help="Name of a PC, or a pattern such as 'paris-*'; default: all.")]
InventoryOption = Annotated[str, typer.Option("--inventory", help="Inventory folder or file.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
