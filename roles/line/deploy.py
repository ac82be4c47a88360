"""Firewall and SSH server of a Windows PC, made right behind a timed rollback."""

from datetime import date

from pyinfra import host
from pyinfra.api.deploy import deploy

from citadelle.operations import hardening
from citadelle.operations import line as operations
from roles.hardening.settings import HardeningSettings
from roles.line.settings import LineSettings
from roles.wsl.settings import WslSettings


def admins(settings: LineSettings) -> operations.Admins:
    """Who may come, for the operation."""
    networks = tuple(map(str, settings.line_networks))
    user = str(host.connector.user)
    owner = WslSettings.from_host(host).wsl_user  # @wsl hosts log in as it
    return operations.Admins(user, networks, settings.line_users, settings.line_keys, settings.line_tokens, owner)


@deploy("Line")
def line() -> None:
    """From the look that the role `hardening` takes too: what deviates is told, and set in one guarded step."""
    settings = LineSettings.from_host(host)
    shared = HardeningSettings.from_host(host)
    table, waivers = shared.tables(str(host.name), "windows")
    state = hardening.look(table)
    found = hardening.verdicts(state, table, waivers, date.today()) if state.raw else []
    change = operations.change(found, state, admins(settings)) if settings.line_apply else operations.Change()
    hardening.tell([one for one in found if one.control.is_line], change.controls, shared.hardening_language)
    operations.settings(
        name="Make firewall and SSH server right, or go back", change=change, seconds=settings.line_seconds
    )
