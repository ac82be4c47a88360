"""Settings of the role `events`."""

from pathlib import Path

from pydantic import Field

from citadelle.settings import RoleSettings


class EventsSettings(RoleSettings):
    """Event logs of a Windows PC: what of them leaves it, by the distribution's rsyslog (role `logs` of its WSL host)."""

    events: bool = Field(
        False,
        description="Hand events of Windows to the distribution, for Loki and the SIEM; set `logs` on its WSL host.",
    )
    events_seconds: int = Field(120, ge=60, le=600, description="How often.")
    events_table: Path = Field(
        Path("policies/windows-events.yaml"), description="Which events, and which of their fields, on the controller."
    )
