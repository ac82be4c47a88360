"""A host judged by the table of controls, and put right where that is safe and can be undone."""

from datetime import date
from pathlib import Path
from typing import Literal

from pyinfra import host
from pyinfra.api.deploy import deploy

from citadelle.escrow.preflight import VALUES
from citadelle.hardening.state import State
from citadelle.operations import files
from citadelle.operations import hardening as operations
from citadelle.settings import DeployError
from roles.bitlocker.settings import BitlockerSettings
from roles.hardening.settings import HardeningSettings

NAME = "Set the controls that are safe and can be undone"
FILES = Path(__file__).parent / "files"
FIREWALL = "/usr/local/lib/citadelle/firewall"
# A WSL distribution is reached through Windows alone, whose firewall and Hyper-V's stand before it; how its own relay comes in is not ours.
FIREWALL_CONF = "/etc/citadelle/firewall.conf"


def _save(state: State, folder: Path) -> None:
    try:
        operations.save(state, folder)
    except OSError as error:
        raise DeployError(
            f"{host.name}: its state cannot be saved: {error}\nhint: set hardening_states to a folder that can be written"
        ) from None


def firewall_files(others: str) -> list[files.File]:
    """What the firewall is loaded from, and the profiles of PAM. `others`: drop or accept packets to the host that nobody asked for."""
    conf = files.File(FIREWALL_CONF, f'define others = "{others}"\n'.encode())
    return [conf, *files.role_files(FILES, {FIREWALL: "755"})]


@deploy("Hardening")
def hardening() -> None:
    """One look at the host; every deviation is told, and what may be set by itself is set in one script.

    A host whose state could not be read has failed already, with its reason.
    """
    settings = HardeningSettings.from_host(host)
    system: Literal["windows", "linux"] = "windows" if "windows" in host.groups else "linux"
    table, waivers = settings.tables(str(host.name), system)
    state = operations.look(table, more=VALUES)  # one look for this role, `platform`, `bitlocker` and `line`
    if system == "windows":
        state = state.chosen(BitlockerSettings.from_host(host).bitlocker_unlock)
    found = operations.verdicts(state, table, waivers, date.today()) if state.raw else []
    planned = operations.changes(found, state) if settings.hardening_apply else []
    mine = [one for one in found if not one.control.is_line]
    operations.tell(mine, {change.control for change in planned}, settings.hardening_language)
    if settings.hardening_states and state.raw:
        _save(state, settings.hardening_states / ("linux" if system == "linux" else ""))
    if system == "windows":
        operations.settings(name=NAME, changes=planned)
        return
    operations.controls(
        name=NAME,
        table=table,
        waivers=waivers,
        changes=planned,
        seen=bool(state.raw) or not settings.hardening_apply,
        placed=firewall_files("accept" if "wsl" in host.groups else "drop") if settings.hardening_apply else [],
        after="systemctl daemon-reload",
        seconds=settings.hardening_rollback_seconds,
        language=settings.hardening_language,
    )
