"""A Windows PC judged by the table of controls, and put right where that is safe and can be undone."""

from datetime import date
from pathlib import Path

from pyinfra import host
from pyinfra.api.deploy import deploy

from citadelle.hardening.state import State
from citadelle.hardening.table import Table, TableError
from citadelle.hardening.waivers import Waiver, load_waivers
from citadelle.operations import hardening as operations
from citadelle.settings import DeployError
from roles.hardening.settings import HardeningSettings


def tables(settings: HardeningSettings) -> tuple[Table, list[Waiver]]:
    """Controls and waivers. Raises `DeployError`: by a wrong table no PC is judged."""
    try:
        table = Table.load(settings.hardening_controls)
        return table, load_waivers(settings.hardening_waivers, table)
    except TableError as error:
        raise DeployError(f"{host.name}: {error}\nhint: docs/windows.md says what stands in these files") from None


def _save(state: State, folder: Path) -> None:
    try:
        operations.save(state, folder)
    except OSError as error:
        raise DeployError(
            f"{host.name}: its state cannot be saved: {error}\nhint: set hardening_states to a folder that can be written"
        ) from None


@deploy("Hardening")
def hardening() -> None:
    """One look at the PC; every deviation is told, and what may be set by itself is set in one script.

    A PC whose state could not be read has failed already, with its reason.
    """
    settings = HardeningSettings.from_host(host)
    table, waivers = tables(settings)
    state = operations.look(table)
    found = operations.verdicts(state, table, waivers, date.today()) if state.raw else []
    planned = operations.changes(found, state) if settings.hardening_apply else []
    operations.tell(found, planned)
    if settings.hardening_states and state.raw:
        _save(state, settings.hardening_states)
    operations.settings(name="Set the controls that are safe and can be undone", changes=planned)
