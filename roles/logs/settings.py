"""Settings of the role `logs`. What they ask for is placed by the role `observability`, with its own, in one operation."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from citadelle.settings import RoleSettings
from citadelle.shipping.rsyslog import Form, Shipping, Siem

Unit = Annotated[str, Field(pattern=r"^[A-Za-z0-9@_.-]+\.(service|socket|timer)$")]
NAME = r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?"
BYTES = {"M": 1 << 20, "G": 1 << 30}


class LogsSettings(RoleSettings):
    """What leaves a host's logs by rsyslog: the audit trail to a SIEM, the trail and what containers write to Loki."""

    logs: bool = Field(False, description="Ship logs: have rsyslog, as an instance of its own.")
    logs_siem: str | None = Field(
        None,
        pattern=rf"^{NAME}:\d{{2,5}}$",
        description="SIEM as `host:port`, with TLS 1.3; None: none gets the audit trail.",
    )
    logs_siem_peer: str | None = Field(
        None, pattern=rf"^{NAME}$", description="Name that its certificate has to bear; None: the host of logs_siem."
    )
    logs_siem_format: Form = Field(
        "ecs", description="What it gets: ECS as JSON, OCSF 1.8 as JSON, or CEF; each in messages of RFC 5424."
    )
    logs_siem_folder: Path = Field(
        Path("siem"),
        description="Folder on the controller with `ca.pem`, which judges the SIEM, and `<host>.pem`, `<host>.key`, which it judges.",
    )
    logs_loki: bool = Field(
        False, description="Bring the audit trail and what the stack writes to Loki on the host itself."
    )
    logs_units: tuple[Unit, ...] = Field(
        (), description="Further units of systemd whose messages go to Loki, as `ssh.service`."
    )
    logs_anchor_seconds: int = Field(
        60,
        ge=5,
        le=3600,
        description="How often changes are recorded and the audit trail's newest record is signed and shipped.",
    )
    logs_spool: str = Field(
        "1GB",
        pattern=r"^[1-9][0-9]{0,3}[MG]B$",
        description="How much disk each way may take for what cannot be delivered yet.",
    )

    @model_validator(mode="after")
    def _leads_somewhere(self) -> Self:
        if self.logs and not (self.logs_siem or self.logs_loki):
            raise ValueError("logs needs logs_siem or logs_loki")
        return self

    def shipping(self, host: str, figures: int) -> Shipping:
        """For rsyslog on a host; `figures`: as there."""
        spool = int(self.logs_spool[:-2]) * BYTES[self.logs_spool[-2]]
        return Shipping(host, self._siem(), self.logs_loki, self.logs_units, spool, figures)

    def _siem(self) -> Siem | None:
        if not self.logs_siem:
            return None
        name, _, port = self.logs_siem.rpartition(":")
        return Siem(name, int(port), self.logs_siem_peer or name, self.logs_siem_format)
