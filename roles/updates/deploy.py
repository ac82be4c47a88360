"""Updates of Windows, and a restart that is waited for."""

from pyinfra import host
from pyinfra.api.deploy import deploy

from citadelle.escrow.store import Escrow
from citadelle.operations import restart
from citadelle.operations import updates as operations
from roles.bitlocker.settings import BitlockerSettings
from roles.updates.settings import UpdatesSettings


@deploy("Updates")
def updates() -> None:
    """Search always; install and restart where the settings say so."""
    settings = UpdatesSettings.from_host(host)
    folders = BitlockerSettings.from_host(host)
    first, second = folders.bitlocker_escrow, folders.bitlocker_escrow_copy
    escrow = Escrow(first, second) if first and second else None
    operations.searched(name="Search for updates daily, as the system")
    if settings.updates_install:
        operations.installed(
            name="Install the updates that are missing", minutes=settings.updates_minutes, escrow=escrow
        )
    if settings.updates_restart:
        restart.controlled(
            name="Restart where that is pending", minutes=settings.updates_restart_minutes, escrow=escrow
        )
