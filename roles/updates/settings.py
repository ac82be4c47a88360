"""Settings of the role `updates`."""

from pydantic import Field

from citadelle.settings import RoleSettings


class UpdatesSettings(RoleSettings):
    """Updates of Windows: always searched for and told; installed, and restarted for, where that is asked for."""

    updates_install: bool = Field(
        False, description="Install every update that is missing, by a task of the system, in this run."
    )
    updates_minutes: int = Field(120, ge=5, le=1440, description="How long installing may take, in minutes.")
    updates_restart: bool = Field(
        False,
        description="Restart the PC where it waits for that: BitLocker suspended for that one start, and looked at again after it.",
    )
    updates_restart_minutes: int = Field(
        30, ge=2, le=240, description="How long the PC may take to be there again, in minutes."
    )
