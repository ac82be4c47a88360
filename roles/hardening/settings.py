"""Settings of the role `hardening`."""

from pathlib import Path

from pydantic import Field

from citadelle.settings import RoleSettings


class HardeningSettings(RoleSettings):
    """Controls of Windows: by which table a PC is judged, who has accepted what, and whether the safe ones are set."""

    hardening_controls: Path = Field(Path("policies/windows.yaml"), description="Table of controls on the controller.")
    hardening_waivers: Path = Field(
        Path("policies/waivers.yaml"), description="Accepted deviations on the controller, under the key `windows`."
    )
    hardening_apply: bool = Field(
        True, description="Set the controls that are safe and can be undone; False: every control is judged only."
    )
    hardening_states: Path | None = Field(
        None, description="Folder on the controller for the raw state of each PC, for `citadelle audit windows`."
    )
