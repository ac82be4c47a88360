"""What Prometheus and Alertmanager are told, by the settings; and what is refused."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from pydantic import ValidationError
from pyinfra.context import ctx_host

from citadelle.observability import config
from citadelle.settings import DeployError
from roles.observability import deploy
from roles.observability.settings import ObservabilitySettings
from roles.stack.settings import StackSettings
from roles.stack.watching import tls_is_there, watching
from tests.conftest import ROOT
from tests.lab import builds

CANARY = "canary-8d1f"
ALL: dict[str, Any] = {
    "observability": True,
    "observability_receivers": ["slack", "teams", "email", "webhook"],
    "observability_deadman": True,
    "observability_mail_server": "mail.example:587",
    "observability_mail_from": "pc@example.org",
    "observability_mail_to": "ops@example.org",
    "observability_mail_user": "pc",
    "observability_hours": "08:00-19:00",
}


@pytest.fixture(autouse=True)
def host() -> Iterator[None]:
    with ctx_host.use(SimpleNamespace(name="@linux/srv1")):
        yield


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A controller's folder of secrets."""
    for name in ("slack", "teams", "webhook", "deadman"):
        (tmp_path / f"{name}_url").write_text(f"https://{name}.example/{CANARY}\n")
    (tmp_path / "smtp_password").write_text(CANARY + "\n")
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n")
    return tmp_path


def made(**changes: Any) -> dict[str, dict[str, Any]]:
    """The configurations of a release, read again."""
    _, found = watching(ObservabilitySettings(**(ALL | changes)))
    return {Path(name).stem: yaml.safe_load(content) for name, content in found.items()}


def test_without_it_a_release_has_nothing_of_it() -> None:
    assert watching(ObservabilitySettings()) == ({}, {})


def test_prometheus_asks_as_often_as_the_setting_says_and_the_host_at_its_address() -> None:
    told = made(observability_seconds=5, observability_network="10.9.9.0/29")["prometheus"]
    assert (told["global"]["scrape_interval"], told["global"]["evaluation_interval"]) == ("5s", "5s")
    assert told["global"]["external_labels"] == {"host": "srv1"}
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in told["scrape_configs"]}
    assert targets["host"] == ["10.9.9.1:9100"]
    assert set(targets) == {"gateway", "host", "prometheus", "alertmanager"}


SHOWN = {"observability_grafana_port": 3443, "observability_log_days": 7, "observability_seconds": 15}


def test_loki_keeps_lines_as_long_as_the_setting_says_and_grafana_knows_how_often_prometheus_asks() -> None:
    values, found = watching(ObservabilitySettings(**ALL, **SHOWN))
    told = yaml.safe_load(found["observability/loki.yaml"])
    assert (told["limits_config"]["retention_period"], told["limits_config"]["max_query_length"]) == ("168h", "192h")
    assert told["compactor"]["retention_enabled"]
    sources = yaml.safe_load(found["observability/grafana/provisioning/datasources/citadelle.yaml"])["datasources"]
    assert {one["uid"]: one["jsonData"].get("timeInterval") for one in sources} == {"prometheus": "15s", "loki": None}
    assert not any(one["editable"] for one in sources)
    assert sources[0]["secureJsonData"] == {"basicAuthPassword": "$__file{/run/secrets/password}"}
    boards = {path.rpartition("/")[2] for path in found if "/dashboards/" in path}
    sources = {f"{path.stem}.json" for path in (ROOT / "compose/grafana/dashboards").glob("*.yaml")}
    assert boards == {"citadelle.yaml", *sources}
    assert values["GRAFANA_PORT"] == 3443


def paths(told: dict[str, Any], place: str = "") -> Iterator[tuple[str, str]]:
    """Each key of a configuration, with the section that it stands in."""
    for key, value in told.items():
        yield place, key
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, dict):
                yield from paths(inner, f"{place}.{key}".strip("."))


def test_loki_knows_every_key_that_it_is_told() -> None:
    """By its own reference: an unknown one would stop it at its start. Loki itself is not here."""
    known = yaml.safe_load((ROOT / "tests/observability/loki_keys.yaml").read_text())
    told = yaml.safe_load(watching(ObservabilitySettings(**ALL, **SHOWN))[1]["observability/loki.yaml"])
    found = list(paths(told))
    assert len(found) > 50
    assert [(place, key) for place, key in found if key not in known[place]] == []


def test_without_grafana_a_release_has_nothing_of_it() -> None:
    values, found = watching(ObservabilitySettings(**ALL))
    assert not any("grafana" in name.lower() or "loki" in name.lower() for name in (*values, *found))


def test_grafana_is_refused_without_tls_and_on_its_port() -> None:
    settings = ObservabilitySettings(**ALL, **SHOWN)
    tls_is_there(settings, StackSettings(stack_tls_port=8443))
    tls_is_there(ObservabilitySettings(**ALL), StackSettings())
    for stack in (StackSettings(), StackSettings(stack_tls_port=3443)):
        with pytest.raises(DeployError, match=r"@linux/srv1: observability_grafana_port .*: 3443\nhint: "):
            tls_is_there(settings, stack)


def test_each_receiver_has_its_file_and_the_one_way_out() -> None:
    told = made(observability_ca="/ca.pem")["alertmanager"]
    people, deadman, _ = told["receivers"]
    ways = [
        *people["slack_configs"],
        *people["msteamsv2_configs"],
        *people["webhook_configs"],
        *deadman["webhook_configs"],
    ]
    for way in ways:
        assert way["http_config"]["proxy_url"] == "http://198.18.254.1:9101"
        assert way["http_config"]["tls_config"]["ca_file"] == "/run/secrets/ca.pem"
    [mail] = people["email_configs"]
    assert (mail["smarthost"], mail["tls_config"]["server_name"], mail["require_tls"]) == (
        "198.18.254.1:9102",
        "mail.example",
        True,
    )
    assert "https://" not in yaml.safe_dump(told)
    assert "password:" not in yaml.safe_dump(told)


def test_only_what_is_wanted_is_there() -> None:
    people, deadman, _ = made(observability_receivers=["teams"], observability_deadman=False)["alertmanager"][
        "receivers"
    ]
    assert people.keys() == {"name", "msteamsv2_configs"}
    assert deadman.keys() == {"name"}


def test_the_dead_man_is_called_as_often_as_the_setting_says() -> None:
    watchdog = made(observability_deadman_seconds=5)["alertmanager"]["route"]["routes"][0]
    assert (watchdog["receiver"], watchdog["repeat_interval"], watchdog["group_interval"]) == ("deadman", "5s", "2s")


def test_use_outside_hours_is_told_only_where_hours_are_named() -> None:
    routes = made()["alertmanager"]["route"]["routes"]
    assert {"receiver": "people", "mute_time_intervals": ["office"]}.items() <= routes[2].items()
    told = made(observability_hours=None)["alertmanager"]
    assert told["route"]["routes"][2]["receiver"] == "outside-hours"
    assert "time_intervals" not in told


@pytest.mark.parametrize(
    "wrong",
    [
        {"observability_hours": "8-19"}, {"observability_hours": "19:00-08:00"}, {"observability_time_zone": "Mars/Olympus"},
        {"observability_network": "10.9.9.0/30"}, {"observability_mail_to": None}, {"observability_receivers": ["pigeon"]},
        {"observability_mail_server": "mail.example"}, {"observability_size": "all"}, {"observability_mail_to": "a@b, c@d"},
        {"observability": False, "observability_grafana_port": 3443},
    ],
    ids=str,
)  # fmt: skip
def test_a_setting_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    ObservabilitySettings(**ALL)
    with pytest.raises(ValidationError):
        ObservabilitySettings(**(ALL | wrong))


def test_secrets_reach_one_file_in_memory_and_the_relay_knows_machines_only(folder: Path) -> None:
    settings = ObservabilitySettings(**ALL, observability_secrets=folder, observability_ca=folder / "ca.pem")
    placed = {file.path: file for file in deploy.host_files(settings)}
    holding = [path for path, file in placed.items() if CANARY.encode() in file.content]
    assert holding == ["/run/citadelle/observability/given.json"]
    assert (placed[holding[0]].mode, placed[holding[0]].owner) == ("400", "root:root")
    allowed = json.loads(placed["/etc/citadelle/observability/relay.json"].content)
    assert allowed == {
        "connect": ["deadman.example:443", "slack.example:443", "teams.example:443", "webhook.example:443"],
        "smtp": "mail.example:587",
    }
    units = "".join(file.content.decode() for path, file in placed.items() if path.endswith(".conf"))
    assert units.count("ListenStream=198.18.254.1:") == 3


def test_all_secrets_that_are_absent_or_wrong_are_told_and_none_is_shown(folder: Path) -> None:
    settings = ObservabilitySettings(**ALL, observability_secrets=folder, observability_ca=folder / "no.pem")
    (folder / "slack_url").unlink()
    (folder / "teams_url").write_text(f"https://{CANARY}\nhttps://more")
    with pytest.raises(DeployError) as caught:
        deploy.secrets(settings)
    said = str(caught.value)
    assert said.startswith(
        "@linux/srv1: secrets of alerts cannot be read: slack_url: No such file or directory; teams_url: not one line; "
    )
    assert "no.pem" in said
    assert "\nhint: " in said
    assert CANARY not in said


@pytest.mark.parametrize(
    "url", [f"http://slack.example/{CANARY}", CANARY, f"https:///{CANARY}", f"https://a:99999/{CANARY}"]
)
def test_what_is_no_https_address_is_refused_unseen(folder: Path, url: str) -> None:
    (folder / "slack_url").write_text(url)
    settings = ObservabilitySettings(**ALL, observability_secrets=folder)
    with pytest.raises(DeployError, match="not an https address: slack_url") as caught:
        deploy.host_files(settings)
    assert CANARY not in str(caught.value)


@pytest.mark.docker
def test_amtool_and_promtool_accept_all_of_it(tmp_path: Path) -> None:
    """With every receiver and with none; and the routes lead where they should."""
    tmp_path.chmod(0o755)
    for name, changes in {
        "all": {"observability_ca": "/x"},
        "none": {"observability_receivers": [], "observability_deadman": False},
    }.items():
        _, found = watching(ObservabilitySettings(**(ALL | changes)))
        (tmp_path / name).mkdir()
        for path, content in found.items():
            (tmp_path / name / Path(path).name).write_bytes(content)
    route = "amtool config routes test --config.file=/t/all/alertmanager.yaml"
    script = f"""set -e
        amtool check-config /t/all/alertmanager.yaml /t/none/alertmanager.yaml
        {route} --verify.receivers=deadman alertname=Watchdog severity=none
        {route} --verify.receivers=people alertname=DiskFull severity=critical
        {route} --verify.receivers=people alertname=AlertTest severity=info
        {route} --verify.receivers=people alertname=UseOutsideHours severity=info
        ! {route} --verify.receivers=deadman alertname=DiskFull"""
    checked = in_image("alertmanager", tmp_path, script)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    judged = in_image("prometheus", tmp_path, "set -e; for c in all none; do cp -r /t/$c /etc/citadelle; promtool check config \
        /etc/citadelle/prometheus.yaml; rm -r /etc/citadelle; done")  # fmt: skip
    assert judged.returncode == 0, judged.stdout + judged.stderr
    assert judged.stdout.count("rule files found") == 2


def in_image(name: str, folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    image = builds.monitoring(name).reference()
    mounts = [f"--volume={folder}:/t:ro", f"--volume={ROOT}/compose/{name}:/etc/{name}:ro"]
    command = ["docker", "run", "--rm", "--network=none", *mounts, "--entrypoint=sh", image, "-c", script]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_the_addresses_that_the_packet_filter_lets_in_are_those_that_the_host_listens_on() -> None:
    rules = (ROOT / "roles/hardening/files/etc/citadelle/firewall.nft").read_text()
    ports = f"{config.NODE_PORT}, {config.RELAY_PORT}, {config.SMTP_PORT}"
    assert f'iifname "br-citadelle" tcp dport {{ {ports} }} accept' in rules
    bridge = yaml.safe_load((ROOT / "compose/observability.yaml").read_text())["networks"]["watch"]["driver_opts"]
    assert bridge == {"com.docker.network.bridge.name": "br-citadelle"}
