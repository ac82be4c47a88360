"""Settings of the role `platform`."""

from pydantic import Field

from citadelle.settings import RoleSettings


class PlatformSettings(RoleSettings):
    """What a Windows PC must be before anything is changed on it."""

    platform_min_build: int = Field(
        22621, ge=22000, description="Lowest Windows build; 22621 is Windows 11 22H2, 26100 is 24H2."
    )
