"""Settings of the role `hardening`."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from citadelle.hardening.table import Table, TableError
from citadelle.hardening.waivers import Waiver, load_waivers
from citadelle.settings import DeployError, RoleSettings


class HardeningSettings(RoleSettings):
    """Controls of Windows and Linux: by which table a host is judged, who has accepted what, and whether the safe ones are set."""

    hardening_controls: Path = Field(
        Path("policies/windows.yaml"), description="Table of controls of Windows, on the controller."
    )
    hardening_linux_controls: Path = Field(
        Path("policies/linux.yaml"),
        description="Table of controls of Linux hosts and WSL distributions, on the controller.",
    )
    hardening_waivers: Path = Field(
        Path("policies/waivers.yaml"),
        description="Accepted deviations on the controller, under the keys `windows` and `linux`.",
    )
    hardening_apply: bool = Field(
        True, description="Set the controls that are safe and can be undone; False: every control is judged only."
    )
    hardening_rollback_seconds: int = Field(
        120,
        ge=30,
        le=900,
        description="After which a Linux host takes back a change of SSH server or firewall that no login confirms.",
    )
    hardening_states: Path | None = Field(
        None,
        description="Folder on the controller for the raw state of each host, for `citadelle audit`; Linux hosts in its folder `linux`.",
    )
    hardening_language: Literal["en", "fr"] = Field("en", description="Language of the titles of controls.")

    def tables(self, host: str, system: Literal["windows", "linux"]) -> tuple[Table, list[Waiver]]:
        """Controls and waivers. Raises `DeployError`: by a wrong table no host is judged."""
        path = self.hardening_controls if system == "windows" else self.hardening_linux_controls
        try:
            table = Table.load(path)
            return table, load_waivers(self.hardening_waivers, table, system)
        except TableError as error:
            raise DeployError(f"{host}: {error}\nhint: docs/controls.md says what stands in these files") from None
