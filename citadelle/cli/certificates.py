"""`citadelle certificates`: a CA of one's own on the controller, and the hosts' certificates for TLS. Exit codes as everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from citadelle import certificates

app = typer.Typer(no_args_is_help=True, help="Certificates for TLS in front of the gateways, by a CA of your own.")


@app.callback()
def _words() -> None:
    """A group, though there is one word in it yet."""


@app.command()
def make(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder as the setting stack_tls_folder; made if absent.")
    ],
    host: Annotated[str, typer.Argument(metavar="HOST", help="Name of the PC in the inventory.")],
    name: Annotated[list[str], typer.Option(help="Name or address by which clients reach it; may be repeated.")],
    client: Annotated[
        bool, typer.Option("--client", help="By it the host says who it is to a SIEM (logs_siem_folder).")
    ] = False,
) -> None:
    """Make a host's certificate and key, and the CA at the first time. Clients, or the SIEM, have to trust DIR/ca.pem."""
    try:
        made = certificates.make(folder, host, name, client=client)
    except (OSError, ValueError) as error:
        typer.echo(f"citadelle: certificate cannot be made: {error}\nhint: see the files in {folder}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"{made}: for {', '.join(name)}, {certificates.HOST_DAYS} days; clients trust {folder / 'ca.pem'}")
