"""What the role `logs` asks for on the host: rsyslog with a configuration of its own, the programs it hands lines to, certificates."""

from datetime import UTC, datetime
from pathlib import Path

from pyinfra import host

from citadelle import audit, certificates, textfile
from citadelle.operations import files
from citadelle.settings import DeployError
from citadelle.shipping import event_forms, events, forms, handover, loki, rsyslog, siem, stats, words
from roles.logs.settings import LogsSettings

FILES = Path(__file__).parents[1] / "logs/files"
PACKAGES = {"rsyslog": "rsyslog.service", "openssl": ""}
AFTER = (
    f"install -d -m 700 {audit.LOG} {Path(audit.ANCHORS).parent} {events.FOLDER}"
    " && systemctl daemon-reload && systemctl enable --quiet citadelle-logs && systemctl restart citadelle-logs"
)
CHECK = f'mkdir -p -m 700 {rsyslog.STATE} && rsyslogd -N1 -f "$1" 2>&1'


def shipped_files(settings: LogsSettings, figures: int) -> list[files.File]:
    """The configuration comes last: when rsyslog refuses it, the former one stays, and runs. Raises `DeployError`."""
    shipping = (event_forms, events, forms, handover, loki, siem, stats, words)
    programs = {one.PROGRAM: Path(str(one.__file__)) for one in (audit, textfile, *shipping)}
    placed = [files.File(path, source.read_bytes(), mode="755") for path, source in programs.items()]
    content = rsyslog.configuration(settings.shipping(host.name.rpartition("/")[2], figures))
    return [
        *placed,
        *files.role_files(FILES),
        *_certificates(settings),
        files.File(rsyslog.CONFIG, content, check=CHECK),
    ]


def _certificates(settings: LogsSettings) -> list[files.File]:
    if not settings.logs_siem:
        return []
    folder, name = settings.logs_siem_folder, host.name.rpartition("/")[2]
    try:
        certificate, key = certificates.read(folder, name, datetime.now(UTC))
        authority = (folder / "ca.pem").read_bytes()
    except (OSError, ValueError) as error:
        raise DeployError(
            f"{host.name}: certificate for the SIEM does not hold: {folder / name}.pem: {error}\n"
            f"hint: citadelle certificates make {folder} {name} --name {name} --client, or put yours there (logs_siem_folder)"
        ) from None
    contents = {"ca": (authority, "644"), "certificate": (certificate, "644"), "key": (key, "400")}
    return [files.File(f"{rsyslog.FOLDER}/{part}.pem", content, mode) for part, (content, mode) in contents.items()]
