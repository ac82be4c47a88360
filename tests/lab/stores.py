"""Every place of srv1 that could keep something of a request, searched; and its Prometheus and Alertmanager, asked."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from tests.lab.broken import do

OF_CONTAINERS = "$(for p in $(docker inspect --format '{{.State.Pid}}' $(docker ps -q)); do echo %s; done)"
# What docs/privacy.md names, and whatever else a host keeps: folders, by the shell.
FOLDERS = {
    "audit trail": "/var/log/citadelle /var/lib/citadelle/trail /var/lib/citadelle/retention",
    "spools of rsyslog": "/var/lib/citadelle/logs /var/spool",
    "other logs": "/var/log /run/log",
    "Prometheus": "/var/lib/citadelle/prometheus",
    "Alertmanager": "/var/lib/citadelle/alertmanager",
    "textfiles": "/var/lib/node_exporter/textfile",
    "state of programs": "/run/citadelle /etc/citadelle /opt/citadelle /var/lib/citadelle/observability /var/lib/citadelle/rag",
    "Docker's files": "/var/lib/docker/containers",
    "what containers wrote": "$(grep -o 'upperdir=[^,]*' /proc/mounts | cut -c 10- | sort -u)",
    "memory files of containers": OF_CONTAINERS % "/proc/$p/root/tmp /proc/$p/root/dev/shm",
    "core dumps": "/var/lib/systemd/coredump /var/crash /core* " + OF_CONTAINERS % "/proc/$p/cwd/core*",
    "temporary files": "/tmp /var/tmp /dev/shm /root",
}
# And what programs alone tell.
TOLD = {
    "journal": "journalctl --no-pager --all --output=export",
    "logs of containers": "for c in $(docker ps -aq); do docker logs $c 2>&1; done",
    "containers, as Docker tells": "docker inspect $(docker ps -aq)",
    "processes": "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ",
    "series of Prometheus": "asked prometheus ':9090/api/v1/series?match[]=%7B__name__%3D~%22.%2B%22%7D'",
    "alerts and silences": "asked alertmanager :9093/api/v2/alerts; asked alertmanager :9093/api/v2/silences",
}
ASKED = """asked() {
  at=$(docker inspect --format '{{.NetworkSettings.Networks.citadelle_watch.IPAddress}}' citadelle-$1-1)
  curl --silent --fail --globoff --user "citadelle:$(cat /run/citadelle/observability/$1/password)" "http://$at$2"
}
"""
PLANTED = "planted.prom"
LAY = "mkdir -p /var/lib/systemd/coredump\n" + "".join(
    f'for d in {folders}; do [ -d $d ] && echo "planted{{canary=\\"$text\\"}} 1" > $d/{PLANTED} && break; done 2>/dev/null\n'
    for folders in FOLDERS.values()
)
# On srv1: each question of a list to its Prometheus.
QUESTIONS = """
import base64, json, subprocess, sys, urllib.error, urllib.parse, urllib.request
name = "{{.NetworkSettings.Networks.citadelle_watch.IPAddress}}"
address = subprocess.check_output(["docker", "inspect", "--format", name, "citadelle-prometheus-1"], text=True).strip()
password = open("/run/citadelle/observability/prometheus/password").read()
login = {"Authorization": "Basic " + base64.b64encode(f"citadelle:{password}".encode()).decode()}
def ask(path):
    request = urllib.request.Request(f"http://{address}:9090/api/v1/{path}", headers=login)
    return json.load(urllib.request.urlopen(request))["data"]
def answer(given):
    try:
        return ask(urllib.parse.quote(given.pop("path")) + "?" + urllib.parse.urlencode(given))
    except urllib.error.HTTPError as error:
        return {"wrong": error.read().decode()}
print(json.dumps([answer(given) for given in json.load(sys.stdin)]))
"""
SILENCE = """
import json, sys
sys.path.insert(0, "/usr/local/lib")
from citadelle import alerts
print(alerts.ask(f"{alerts.address()}/api/v2/silences", json.load(sys.stdin)))
"""


def holds(text: str) -> set[str]:
    """Names of the places in which this text stands. It comes by standard input: the search leaves no trace of it."""
    search = 'printf %s "$text" | grep -q -a -s -F -f -'
    lines = [f'{search} -r -D skip -- {folders} && echo "{name}"' for name, folders in FOLDERS.items()]
    lines += [
        f'{{ {program}; }} 2>/dev/null > /run/told; {search} /run/told && echo "{name}"'
        for name, program in TOLD.items()
    ]
    return set(do("\n".join(["read -r text", ASKED, *lines, "rm -f /run/told"]), f"{text}\n".encode()).splitlines())


def plant(text: str) -> None:
    """Put it where each folder is, into the journal, and by a textfile into Prometheus."""
    do(f"read -r text\n{LAY}logger -- $text", f"{text}\n".encode())


def uproot() -> None:
    """Take away again what can be."""
    do(
        "".join(f"for d in {folders}; do rm -f $d/{PLANTED}; done 2>/dev/null\n" for folders in FOLDERS.values())
        + "true"
    )


def asked(questions: list[dict[str, str | float]]) -> list[object]:
    """What srv1's Prometheus answers to each: {"path": of its API, and parameters}; {"wrong": text} where it refuses one."""
    found: list[object] = json.loads(do(f"python3 -I -c '{QUESTIONS}'", json.dumps(questions).encode()))
    return found


def silence(comment: str) -> str:
    """Make a silence about nothing, for a minute, as Alertmanager takes one; its id."""
    now = datetime.now(UTC)
    matcher = {"name": "alertname", "value": "Nothing", "isRegex": False, "isEqual": True}
    times = {"startsAt": now.isoformat(), "endsAt": (now + timedelta(minutes=1)).isoformat()}
    body = {"matchers": [matcher], "createdBy": "operator", "comment": comment, **times}
    return str(json.loads(do(f"python3 -I -c '{SILENCE}'", json.dumps(body).encode()))["silenceID"])
