"""Settings of the role `service_user`."""

from pydantic import Field

from citadelle.settings import RoleSettings


class ServiceUserSettings(RoleSettings):
    """The accounts that the containers' processes run as; their numbers are fixed in compose/."""

    service_user_prefix: str = Field(
        "citadelle",
        pattern="^[a-z][a-z0-9-]{0,15}$",
        description="First part of the accounts' names (`<prefix>-engine`).",
    )
