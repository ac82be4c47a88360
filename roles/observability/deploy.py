"""What sees and alerts, as far as it is the host's: node_exporter, looks at the host, secrets in memory, a way out for alerts; logs."""

import json
from pathlib import Path

from pyinfra import host
from pyinfra.api.deploy import deploy

from citadelle import audit, textfile
from citadelle.observability import accelerators, alerts, config, documents, metrics, relay, vault
from citadelle.operations import files
from citadelle.operations import observability as operations
from citadelle.settings import DeployError
from roles.logs.settings import LogsSettings
from roles.observability import shipping
from roles.observability.settings import ObservabilitySettings

FILES = Path(__file__).parent / "files"
SYSTEM = "/etc/systemd/system"
PACKAGE = "prometheus-node-exporter"
SOCKETS = ["citadelle-relay.socket", f"{PACKAGE}.socket"]
# A socket keeps the address it has, and a service its socket.
AFTER = (
    f"systemctl daemon-reload && python3 -I -B {vault.PROGRAM} keep"
    f" && systemctl enable --quiet citadelle-observability citadelle-metrics.timer {' '.join(SOCKETS)}"
    f" && systemctl stop citadelle-relay.service {PACKAGE}.service"
    f" && systemctl restart citadelle-observability {' '.join(SOCKETS)} citadelle-metrics.timer"
    " && systemctl start --no-block citadelle-metrics.service"
)


def secrets(settings: ObservabilitySettings) -> dict[str, str]:
    """What receivers need, from the controller's folder. Raises `DeployError` with all that is wrong, and no secret in it."""
    found, problems = {}, []
    for name in settings.secret_files:
        try:
            text = (settings.observability_secrets / name).read_text().strip()
        except OSError as error:
            problems.append(f"{name}: {error.strerror}")
            continue
        found[name] = text
        problems += [] if text and text.isprintable() else [f"{name}: not one line"]
    if settings.observability_ca:
        try:
            found["ca.pem"] = settings.observability_ca.read_text()
        except OSError as error:
            problems.append(f"{settings.observability_ca}: {error.strerror}")
    if problems:
        raise DeployError(
            f"{host.name}: secrets of alerts cannot be read: {'; '.join(problems)}\n"
            f"hint: put them into {settings.observability_secrets} (observability_secrets), one line in each file"
        )
    return found


def relay_file(settings: ObservabilitySettings, given: dict[str, str]) -> files.File:
    """Where alerts may go. Raises `DeployError`."""
    try:
        allowed = config.destinations({one: given[config.FILES[one]] for one in settings.urls}, settings.mail)
    except ValueError as error:
        raise DeployError(
            f"{host.name}: secrets of alerts: {error} in {settings.observability_secrets}\nhint: https://host/path, on one line"
        ) from None
    return files.File(relay.CONFIG, json.dumps(allowed, indent=1).encode() + b"\n")


def drop_ins(settings: ObservabilitySettings) -> list[files.File]:
    """What settings decide about units: addresses of sockets, and how often."""
    address, seconds = config.gateway(settings.observability_network), settings.observability_seconds
    sockets = {
        "citadelle-relay.socket": (config.RELAY_PORT, config.SMTP_PORT),
        f"{PACKAGE}.socket": (config.NODE_PORT,),
    }
    texts = {
        unit: "[Socket]\n" + "".join(f"ListenStream={address}:{port}\n" for port in ports)
        for unit, ports in sockets.items()
    }
    texts["citadelle-metrics.timer"] = f"[Timer]\nOnUnitActiveSec={seconds}s\n"
    command = f"/usr/bin/python3 -I -B {metrics.PROGRAM} --audit-seconds {settings.observability_audit_seconds}"
    command += f" --backup {settings.observability_backup}" if settings.observability_backup else ""
    texts["citadelle-metrics.service"] = f"[Service]\nExecStart=\nExecStart={command}\n"
    return [files.File(f"{SYSTEM}/{unit}.d/settings.conf", text.encode()) for unit, text in texts.items()]


def host_files(settings: ObservabilitySettings) -> list[files.File]:
    """Programs, units, and the secrets, those in memory."""
    sources = {
        one.PROGRAM: Path(str(one.__file__))
        for one in (accelerators, alerts, audit, documents, metrics, relay, textfile, vault)
    }
    placed = [files.File(path, source.read_bytes(), mode="755") for path, source in sources.items()]
    given = secrets(settings)
    sealed = files.File(str(vault.GIVEN), json.dumps(given, sort_keys=True).encode(), mode="400")
    return [*placed, *files.role_files(FILES), *drop_ins(settings), relay_file(settings, given), sealed]


@deploy("Observability and logs")
def observability() -> None:
    """One operation for both roles: each costs every run a question. The containers themselves come with the release of the stack."""
    settings, logs = ObservabilitySettings.from_host(host), LogsSettings.from_host(host)
    packages: dict[str, str] = {}
    placed: list[files.File] = []
    after: list[str] = []
    if settings.observability:
        packages[PACKAGE] = f"{PACKAGE}.service"
        placed += host_files(settings)
        after.append(AFTER)
    if logs.logs:
        packages |= shipping.PACKAGES
        placed += shipping.shipped_files(logs, settings.observability_seconds if settings.observability else 0)
        after.append(shipping.AFTER)
    if placed:
        operations.host_side(
            name="Have node_exporter, looks at the host, the way out for alerts, and logs shipped",
            packages=packages,
            files=list({file.path: file for file in placed}.values()),
            after=" && ".join(after),
        )
