"""What sees and alerts, as far as it is in the stack's release: files, variables, images, configurations."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pyinfra import host

from citadelle.observability import config, dashboards, vault
from citadelle.settings import DeployError
from roles.observability.settings import ObservabilitySettings
from roles.stack.settings import StackSettings

COMPOSE = Path(__file__).resolve().parents[2] / "compose"
WATCHING = ("PROMETHEUS_IMAGE", "ALERTMANAGER_IMAGE")
SHOWING = ("GRAFANA_IMAGE", "LOKI_IMAGE")
Values = dict[str, object]
Made = dict[str, bytes]


def watching_images(settings: ObservabilitySettings) -> tuple[str, ...]:
    """What the images lock has to name for it."""
    return (WATCHING if settings.observability else ()) + (SHOWING if settings.observability_grafana_port else ())


def overlays(settings: ObservabilitySettings) -> list[str]:
    """Further files of COMPOSE_FILE."""
    watch = ["observability.yaml"] if settings.observability else []
    return [*watch, *(["dashboards.yaml"] if settings.observability_grafana_port else [])]


def tls_is_there(settings: ObservabilitySettings, stack: StackSettings) -> None:
    """Grafana's passwords go over TLS or not at all. Raises `DeployError`."""
    if settings.observability_grafana_port and not stack.stack_tls_port:
        raise DeployError(
            f"{host.name}: observability_grafana_port needs TLS: {settings.observability_grafana_port}\n"
            "hint: set stack_tls_port too, with a certificate: citadelle certificates make"
        )
    if settings.observability_grafana_port and settings.observability_grafana_port == stack.stack_tls_port:
        raise DeployError(
            f"{host.name}: observability_grafana_port is stack_tls_port: {stack.stack_tls_port}\nhint: another port for each"
        )


def watching(settings: ObservabilitySettings) -> tuple[Values, Made]:
    """Variables and configurations that a release gets of it; nothing where it is not wanted."""
    if not settings.observability:
        return {}, {}
    values, made = _alerting(settings)
    if settings.observability_grafana_port:
        further, shown = _showing(settings)
        values, made = values | further, made | shown
    return values, {f"observability/{name}": content for name, content in made.items()}


def _alerting(settings: ObservabilitySettings) -> tuple[Values, Made]:
    bases = {name: (COMPOSE / f"{name}/{name}.yaml").read_text() for name in vault.OWNERS}
    seconds, address = settings.observability_seconds, config.gateway(settings.observability_network)
    values: Values = {
        "WATCH_SUBNET": settings.observability_network,
        "PROMETHEUS_DAYS": f"{settings.observability_days}d",
        "PROMETHEUS_SIZE": settings.observability_size,
        "PROMETHEUS_RESEND": f"{min(60, seconds)}s",
    }
    made = {
        "prometheus.yaml": config.prometheus(bases["prometheus"], host.name.rpartition("/")[2], seconds, address),
        "alertmanager.yaml": config.alertmanager(bases["alertmanager"], settings.alerting),
        "limits.yaml": config.limits(settings.limits),
    }
    return values | _folders(vault.OWNERS), made


def _showing(settings: ObservabilitySettings) -> tuple[Values, Made]:
    base = {name: (COMPOSE / f"grafana/{name}.yaml").read_bytes() for name in ("sources", "provider")}
    made = {
        "loki.yaml": config.loki((COMPOSE / "loki/loki.yaml").read_text(), settings.observability_log_days),
        "grafana/provisioning/datasources/citadelle.yaml": config.sources(
            base["sources"].decode(), settings.observability_seconds
        ),
        "grafana/provisioning/dashboards/citadelle.yaml": base["provider"],
    }
    for path in sorted((COMPOSE / "grafana/dashboards").glob("*.yaml")):
        shown = dashboards.dashboard(path.stem, path.read_text(), settings.observability_language)
        made[f"grafana/dashboards/{path.stem}.json"] = shown
    return {"GRAFANA_PORT": settings.observability_grafana_port} | _folders(vault.FURTHER), made


def _folders(services: Mapping[str, int]) -> Values:
    data: Values = {f"{name.upper()}_DIR": vault.DATA / name for name in services}
    return data | {f"{name.upper()}_SECRETS": vault.RUN / name for name in services}
