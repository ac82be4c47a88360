"""Settings of the role `observability`."""

from datetime import time
from ipaddress import IPv4Network
from pathlib import Path
from typing import Annotated, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from citadelle.observability.config import FILES, Alerting, Language, Mail, Receiver, gateway
from citadelle.observability.vault import GRAFANA_PASSWORD
from citadelle.settings import RoleSettings

Address = Annotated[str, Field(pattern=r"^[^\s@,;<>\"]+@[^\s@,;<>\"]+$")]


class ObservabilitySettings(RoleSettings):
    """Prometheus and Alertmanager on the host itself: whether, whom they tell, how often they look, and from where on it is an alert."""

    observability: bool = Field(
        False,
        description="Run Prometheus, Alertmanager and node_exporter; the images lock has to name PROMETHEUS_IMAGE and ALERTMANAGER_IMAGE.",
    )
    observability_receivers: tuple[Receiver, ...] = Field(
        (), description="Who hears of alerts: slack, teams, email, webhook; none: they are seen on the host alone."
    )
    observability_deadman: bool = Field(
        False,
        description="Call an outside address again and again as long as alerts work; it raises the alarm when the calls stop.",
    )
    observability_deadman_seconds: int = Field(60, ge=5, le=3600, description="How often that address is called.")
    observability_secrets: Path = Field(
        Path("alerting"),
        description="Folder on the controller with those used of `slack_url teams_url webhook_url deadman_url smtp_password "
        "grafana_password`.",
    )
    observability_ca: Path | None = Field(
        None,
        description="Certificate on the controller of the authority by which receivers are judged; None: the public ones.",
    )
    observability_mail_server: str | None = Field(
        None, pattern=r"^[A-Za-z0-9.-]+:\d{2,5}$", description="Mail server as `host:port`, with STARTTLS."
    )
    observability_mail_from: Address | None = Field(None, description="Sender of alerts by e-mail.")
    observability_mail_to: Address | None = Field(None, description="Whom alerts reach by e-mail.")
    observability_mail_user: str = Field("", description="Account at the mail server; empty: it asks for none.")
    observability_language: Language = Field("en", description="Language of alerts.")
    observability_hours: str | None = Field(
        None,
        description="Hours of work, as `08:00-19:00`, Monday to Friday: answers outside of them are an alert. None: they are not.",
    )
    observability_time_zone: str = Field("Europe/Paris", description="Time zone of these hours.")
    observability_network: IPv4Network = Field(
        IPv4Network("198.18.254.0/29"),
        description="Network between Prometheus, Alertmanager and the host, in use nowhere else (the default is reserved for benchmarks).",
    )
    observability_seconds: int = Field(30, ge=5, le=300, description="How often all is looked at.")
    observability_audit_seconds: int = Field(900, ge=5, le=86400, description="How often the audit trail is judged.")
    observability_group_seconds: int = Field(
        30, ge=1, le=3600, description="How long alerts of a kind are collected before they are sent."
    )
    observability_repeat_hours: int = Field(
        4, ge=1, le=168, description="After how long an alert that goes on is sent again."
    )
    observability_days: int = Field(30, ge=1, le=1000, description="How long figures are kept.")
    observability_size: str = Field("2GB", pattern=r"^[1-9][0-9]*[MG]B$", description="How much disk they may take.")
    observability_grafana_port: int | None = Field(
        None,
        ge=1024,
        le=65535,
        description="TCP port of Grafana behind TLS (stack_tls_port), with Loki beside it; None: neither. "
        "Its first login is `operator` with the secret `grafana_password`.",
    )
    observability_log_days: int = Field(30, ge=1, le=1000, description="How long Loki keeps lines of logs.")
    observability_refused_keys: int = Field(10, ge=1, description="Wrong keys within five minutes: more are an alert.")
    observability_limited_requests: int = Field(
        50, ge=1, description="Requests over a limit within five minutes: the same."
    )
    observability_engine_failures: int = Field(
        5, ge=0, description="Requests without an answer within five minutes: the same."
    )
    observability_tokens_hour: int = Field(
        50000, ge=1, description="Tokens written within an hour, below which none is unusual."
    )
    observability_first_byte_seconds: float = Field(
        60, gt=0, description="How long one in ten may wait for the first word."
    )
    observability_disk_free: float = Field(0.1, gt=0, lt=1, description="Part of each disk that has to be free.")

    observability_memory_free: float = Field(0.05, gt=0, lt=1, description="Part of the memory that has to be free.")
    observability_temperature: float = Field(90, gt=0, description="Degrees Celsius of a sensor: more are an alert.")
    observability_certificate_days: int = Field(
        14, ge=1, description="How long each certificate, of TLS and for the SIEM, has to hold still."
    )
    observability_lock_days: int = Field(30, ge=1, description="How long the lock of the models has to hold still.")
    observability_backup: str | None = Field(
        None,
        pattern=r"^/[A-Za-z0-9._/-]{1,200}$",
        description="File on the host, below /var or /srv, that a backup touches when it has ended well; None: nobody watches that.",
    )
    observability_backup_hours: int = Field(26, ge=1, description="How old the last backup may be.")
    observability_accelerator_temperature: float = Field(
        90, gt=0, description="Degrees Celsius of a graphics processor: more are an alert."
    )
    observability_restarts: int = Field(2, ge=0, description="How often a container may start again within 15 minutes.")

    @field_validator("observability_backup")
    @classmethod
    def _is_seen_there(cls, path: str | None) -> str | None:
        # Who looks has no homes and a /tmp of its own.
        if path is not None and (not path.startswith(("/var/", "/srv/")) or path.startswith("/var/tmp/")):  # noqa: S108
            raise ValueError("below /var or /srv, not in /var/tmp")
        return path

    @field_validator("observability_hours")
    @classmethod
    def _two_times(cls, text: str | None) -> str | None:
        if text is not None:
            try:
                begin, end = (time.fromisoformat(part) for part in text.split("-"))
            except ValueError:
                raise ValueError("not two times, as 08:00-19:00") from None
            if not begin < end or {len(part) for part in text.split("-")} != {5}:
                raise ValueError("not two times in order, as 08:00-19:00")
        return text

    @field_validator("observability_time_zone")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            return ZoneInfo(name).key
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError("no such time zone") from None

    @field_validator("observability_network")
    @classmethod
    def _has_room(cls, network: IPv4Network) -> IPv4Network:
        if network.prefixlen > 29:
            raise ValueError("too small: /29 or more is needed")
        return network

    @model_validator(mode="after")
    def _grafana_has_something_to_show(self) -> Self:
        if self.observability_grafana_port and not self.observability:
            raise ValueError("observability_grafana_port needs observability = True")
        return self

    @model_validator(mode="after")
    def _mail_is_whole(self) -> Self:
        given = (self.observability_mail_server, self.observability_mail_from, self.observability_mail_to)
        if "email" in self.observability_receivers and not all(given):
            raise ValueError("email needs observability_mail_server, observability_mail_from and observability_mail_to")
        return self

    @property
    def urls(self) -> list[str]:
        """Receivers that are an address on the web."""
        named = [one for one in self.observability_receivers if one != "email"]
        return [*named, *(["deadman"] if self.observability_deadman else [])]

    @property
    def secret_files(self) -> list[str]:
        """What has to lie in the folder of secrets."""
        mail = ["email"] if "email" in self.observability_receivers and self.observability_mail_user else []
        grafana = [GRAFANA_PASSWORD] if self.observability_grafana_port else []
        return [*(FILES[one] for one in (*self.urls, *mail)), *grafana]

    @property
    def mail(self) -> Mail | None:
        """By which mail server, where e-mail is wanted."""
        server, sender, to = self.observability_mail_server, self.observability_mail_from, self.observability_mail_to
        if "email" not in self.observability_receivers or not (server and sender and to):
            return None
        return Mail(server, sender, to, self.observability_mail_user)

    @property
    def alerting(self) -> Alerting:
        """What Alertmanager's configuration is made from."""
        begin, _, end = (self.observability_hours or "").partition("-")
        wait = self.observability_group_seconds
        return Alerting(
            gateway=gateway(self.observability_network),
            receivers=self.observability_receivers,
            deadman=self.observability_deadman,
            deadman_seconds=self.observability_deadman_seconds,
            mail=self.mail,
            language=self.observability_language,
            own_ca=self.observability_ca is not None,
            hours=(begin, end) if begin else None,
            time_zone=self.observability_time_zone,
            times={
                "group_wait": f"{wait}s",
                "group_interval": f"{2 * wait}s",
                "repeat_interval": f"{self.observability_repeat_hours}h",
            },
        )

    @property
    def limits(self) -> dict[str, float]:
        """Thresholds by the names that rules have for them."""
        names = (
            "refused_keys",
            "limited_requests",
            "engine_failures",
            "tokens_hour",
            "first_byte_seconds",
            "disk_free",
            "memory_free",
            "temperature",
            "certificate_days",
            "lock_days",
            "restarts",
            "backup_hours",
            "accelerator_temperature",
            "audit_seconds",
        )
        return {name: getattr(self, f"observability_{name}") for name in names}
