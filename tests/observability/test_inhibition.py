"""An alert whose cause is told keeps still, and no other does: by Alertmanager itself, with the configuration of a host."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from citadelle.observability import config
from roles.observability.settings import ObservabilitySettings
from tests.conftest import ROOT
from tests.observability.test_config import in_image

Labels = dict[str, str]
# Told, and what it makes still; what is beside it and must be told too.
CASES: list[tuple[Labels, list[Labels], list[Labels]]] = [
    (
        {"alertname": "TargetDown", "job": "host", "host": "a"},
        [{"alertname": "HostMetricsStale", "host": "a"}, {"alertname": "AuditUnchecked", "host": "a"}],
        [{"alertname": "HostMetricsStale", "host": "b"}, {"alertname": "EgressAttempt", "host": "a"}],
    ),
    ({"alertname": "TargetDown", "job": "gateway", "host": "c"}, [], [{"alertname": "HostMetricsStale", "host": "c"}]),
    (
        {"alertname": "ModelDigestMismatch", "model": "m", "host": "d"},
        [
            {"alertname": "EngineFailing", "host": "d"},
            {"alertname": "ContainerUnhealthy", "service": "engine", "host": "d"},
        ],
        [
            {"alertname": "ContainerUnhealthy", "service": "rag", "host": "d"},
            {"alertname": "ContainerDown", "service": "engine", "host": "d"},
        ],
    ),
    (
        {"alertname": "ContainerDown", "service": "rag", "host": "e"},
        [{"alertname": "ContainerUnhealthy", "service": "rag", "host": "e"}],
        [{"alertname": "ContainerUnhealthy", "service": "gateway", "host": "e"}],
    ),
    (
        {"alertname": "DiskFull", "mountpoint": "/", "host": "f"},
        [{"alertname": "DiskWillFill", "mountpoint": "/", "host": "f"}],
        [{"alertname": "DiskWillFill", "mountpoint": "/srv", "host": "f"}],
    ),
]
SCRIPT = """alertmanager --config.file=/t/alertmanager.yaml --storage.path=/tmp/am --cluster.listen-address= \
  --web.listen-address=127.0.0.1:9093 --log.level=error &
ask() { amtool --alertmanager.url=http://127.0.0.1:9093 "$@"; }
for _ in $(seq 200); do ask alert query >/dev/null 2>&1 && break; sleep 0.1; done
while read -r labels; do ask alert add $labels || exit 1; done </t/alerts
ask alert query --inhibited -o json && echo && ask alert query --active -o json"""


@pytest.mark.docker
def test_a_consequence_keeps_still_where_its_cause_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    base = (ROOT / "compose/alertmanager/alertmanager.yaml").read_text()
    (tmp_path / "alertmanager.yaml").write_bytes(config.alertmanager(base, ObservabilitySettings().alerting))
    still = [labels for _, consequences, _ in CASES for labels in consequences]
    told = [labels for cause, _, others in CASES for labels in (cause, *others)]
    lines = [" ".join(f"{name}={value}" for name, value in labels.items()) for labels in still + told]
    (tmp_path / "alerts").write_text("\n".join(lines) + "\n")
    done = in_image("alertmanager", tmp_path, SCRIPT)
    assert done.returncode == 0, done.stderr

    def labels_of(line: str) -> list[str]:
        return sorted(json.dumps(alert["labels"], sort_keys=True) for alert in json.loads(line))

    inhibited, active = filter(None, done.stdout.splitlines())
    assert labels_of(inhibited) == sorted(json.dumps(labels, sort_keys=True) for labels in still)
    assert labels_of(active) == sorted(json.dumps(labels, sort_keys=True) for labels in told)
