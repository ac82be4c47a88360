"""Configurations of Prometheus, Alertmanager, Loki and Grafana: the files of compose/ with what settings decide. Pure.

As data, never as text. No secret is in them: they name files of a folder in memory, which `vault.py` fills on the host.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Literal
from urllib.parse import urlsplit

import yaml

Receiver = Literal["slack", "teams", "email", "webhook"]
Language = Literal["en", "fr"]
SECRETS = "/run/secrets"  # in Alertmanager's container
NODE_PORT, RELAY_PORT, SMTP_PORT = 9100, 9101, 9102  # on the host's address of the network `watch`
# What each receiver's secret file is called, on the controller and in the container.
FILES: dict[str, str] = {
    "slack": "slack_url",
    "teams": "teams_url",
    "webhook": "webhook_url",
    "deadman": "deadman_url",
    "email": "smtp_password",
}


@dataclass(frozen=True)
class Mail:
    """Where alerts go by e-mail, and as whom: `host:port` of the server, which has to offer STARTTLS, or TLS on port 465."""

    server: str
    sender: str
    to: str
    user: str = ""

    @property
    def name(self) -> str:
        return self.server.rpartition(":")[0]


@dataclass(frozen=True)
class Alerting:
    """How alerts leave. `gateway`: the host's address on the network `watch`; `hours`: of work, `("08:00", "19:00")`, none for no such."""

    gateway: IPv4Address
    receivers: Sequence[Receiver] = ()
    deadman: bool = False
    deadman_seconds: int = 60
    mail: Mail | None = None
    language: Language = "en"
    own_ca: bool = False
    hours: tuple[str, str] | None = None
    time_zone: str = "UTC"
    times: Mapping[str, str] = field(default_factory=dict)


def gateway(network: IPv4Network) -> IPv4Address:
    """The host's address on the network, as Docker gives it: the first one."""
    return network[1]


def dump(data: Any) -> bytes:
    """As YAML, in the order given."""
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=140).encode()


def prometheus(base: str, host: str, seconds: int, address: IPv4Address) -> bytes:
    """compose/prometheus/prometheus.yaml for a host: asked every `seconds`, node_exporter at `address`."""
    data = yaml.safe_load(base)
    data["global"] |= {"scrape_interval": f"{seconds}s", "evaluation_interval": f"{seconds}s"}
    data["global"]["scrape_timeout"] = f"{min(5, seconds)}s"
    data["global"]["external_labels"] = {"host": host}
    for job in data["scrape_configs"]:
        if job["job_name"] == "host":
            job["static_configs"] = [{"targets": [f"{address}:{NODE_PORT}"]}]
    return dump(data)


def limits(values: Mapping[str, float]) -> bytes:
    """Thresholds as rules that record `limit:<name>`: alerts compare with them, so that rules stay the files that were tested."""
    rules = [{"record": f"limit:{name}", "expr": f"vector({value:g})"} for name, value in values.items()]
    return dump({"groups": [{"name": "limits", "rules": rules}]})


def alertmanager(base: str, wanted: Alerting) -> bytes:
    """compose/alertmanager/alertmanager.yaml with the receivers of a host; `times`: of its route, by Alertmanager's names."""
    data = yaml.safe_load(base)
    data["route"] |= wanted.times
    receivers = {receiver["name"]: receiver for receiver in data["receivers"]}
    receivers["people"] |= _people(wanted)
    if wanted.deadman:
        receivers["deadman"] |= {"webhook_configs": [_hook(wanted, "deadman", send_resolved=False)]}
    watchdog, _, outside = data["route"]["routes"]
    # An interval of a group that is as long as the repetition would let every second call fall out.
    watchdog |= {
        "repeat_interval": f"{wanted.deadman_seconds}s",
        "group_interval": f"{max(1, wanted.deadman_seconds // 2)}s",
    }
    if wanted.hours:
        begin, end = wanted.hours
        times = [{"start_time": begin, "end_time": end}]
        office = {"weekdays": ["monday:friday"], "times": times, "location": wanted.time_zone}
        data["time_intervals"] = [{"name": "office", "time_intervals": [office]}]
        outside |= {"receiver": "people", "mute_time_intervals": ["office"]}
    data["receivers"] = list(receivers.values())
    return dump(data)


def loki(base: str, days: int) -> bytes:
    """compose/loki/loki.yaml for a host that keeps lines for `days` days."""
    data = yaml.safe_load(base)
    data["limits_config"] |= {"retention_period": f"{24 * days}h", "max_query_length": f"{24 * days + 24}h"}
    return dump(data)


def sources(base: str, seconds: int) -> bytes:
    """compose/grafana/sources.yaml for a Prometheus that asks every `seconds`: by this a rate's interval is chosen."""
    data = yaml.safe_load(base)
    for source in data["datasources"]:
        if source["type"] == "prometheus":
            source["jsonData"] |= {"timeInterval": f"{seconds}s"}
    return dump(data)


def _people(wanted: Alerting) -> dict[str, Any]:
    title, text = (f'{{{{ template "citadelle.{part}.{wanted.language}" . }}}}' for part in ("title", "text"))
    found: dict[str, Any] = {}
    if "slack" in wanted.receivers:
        slack = {"api_url_file": _file("slack"), "title": title, "text": text, "title_link": "", "actions": []}
        slack |= {"color": '{{ if eq .Status "firing" }}danger{{ else }}good{{ end }}'}
        found["slack_configs"] = [_sent(wanted, slack)]
    if "teams" in wanted.receivers:
        found["msteamsv2_configs"] = [_sent(wanted, {"webhook_url_file": _file("teams"), "title": title, "text": text})]
    if "webhook" in wanted.receivers:
        found["webhook_configs"] = [_hook(wanted, "webhook", send_resolved=True)]
    if "email" in wanted.receivers and wanted.mail:
        found["email_configs"] = [_mail(wanted, wanted.mail, title, text)]
    return found


def _file(receiver: str) -> str:
    return f"{SECRETS}/{FILES[receiver]}"


def _tls(wanted: Alerting) -> dict[str, Any]:
    return {"min_version": "TLS12"} | ({"ca_file": f"{SECRETS}/ca.pem"} if wanted.own_ca else {})


def _sent(wanted: Alerting, config: dict[str, Any]) -> dict[str, Any]:
    """Through the relay: the container has no other way out."""
    way = {"proxy_url": f"http://{wanted.gateway}:{RELAY_PORT}", "follow_redirects": False, "tls_config": _tls(wanted)}
    return {"send_resolved": True} | config | {"http_config": way}


def _hook(wanted: Alerting, receiver: str, *, send_resolved: bool) -> dict[str, Any]:
    return _sent(wanted, {"send_resolved": send_resolved, "url_file": _file(receiver), "max_alerts": 50})


def _mail(wanted: Alerting, mail: Mail, title: str, text: str) -> dict[str, Any]:
    login = {"auth_username": mail.user, "auth_password_file": _file("email")} if mail.user else {}
    # The relay passes the bytes on; whose certificate it has to be is said here.
    tls = _tls(wanted) | {"server_name": mail.name}
    return {
        "to": mail.to, "from": mail.sender, "smarthost": f"{wanted.gateway}:{SMTP_PORT}", "hello": "citadelle", "send_resolved": True,
        "require_tls": True, "tls_config": tls, **login, "headers": {"Subject": title}, "html": "", "text": text,
    }  # fmt: skip


def destinations(urls: Mapping[str, str], mail: Mail | None) -> dict[str, Any]:
    """What the relay lets through: `{"connect": ["host:port", ...], "smtp": "host:port" or ""}`.

    Raises `ValueError` naming the receiver, not its address, which is a secret.
    """
    connect = []
    for receiver, url in urls.items():
        parts = urlsplit(url)
        try:
            port = parts.port or 443
        except ValueError:
            port = 0
        if parts.scheme != "https" or not parts.hostname or not port or url != url.strip() or not url.isprintable():
            raise ValueError(f"not an https address: {FILES[receiver]}")
        connect.append(f"{parts.hostname}:{port}")
    return {"connect": sorted(set(connect)), "smtp": mail.server if mail else ""}
