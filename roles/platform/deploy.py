"""The PC judged, before anything is changed on it."""

from datetime import date

from pyinfra import host
from pyinfra.api.deploy import deploy

from citadelle.escrow.preflight import VALUES
from citadelle.operations import hardening, windows
from roles.hardening.settings import HardeningSettings


@deploy("Platform")
def platform() -> None:
    """Refuse a PC that no role could make right: by the controls marked `refuses`, all of them at once, and without WSL."""
    table, waivers = HardeningSettings.from_host(host).tables(str(host.name), "windows")
    state = hardening.look(table, more=VALUES)  # the look of `hardening` and `bitlocker` too
    found = hardening.verdicts(state, table, waivers, date.today()) if state.raw else []
    windows.supported(name="Judge whether the PC can become a host", problems=hardening.refusals(found))
