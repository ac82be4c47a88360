"""A marked test alert through every receiver of this host's Alertmanager, and what came of it.

Runs alone on a host, as root (standard library, Python 3.10 or newer): alerts.py test; prints {integration: {"delivered", "refused"}}, as
Alertmanager counts its own attempts. The dead man is not among them: he is called all the time.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from datetime import datetime, timedelta, timezone
from pathlib import Path

PROGRAM = "/usr/local/lib/citadelle/alerts.py"
CONFIG = Path("/opt/citadelle/current/observability/alertmanager.yaml")
PASSWORD = Path("/run/citadelle/observability/alertmanager/password")
CONTAINER, NETWORK = "citadelle-alertmanager-1", "citadelle_watch"
SECONDS = 90
INTEGRATIONS = {"slack": "slack", "msteamsv2": "teams", "email": "email", "webhook": "webhook"}
_COUNT = re.compile(
    r'alertmanager_notification_requests(_failed)?_total\{integration="(\w+)",receiver_name="people"\} ([0-9.e+]+)'
)
TEXT = {
    "summary": "Test of alerts: nothing has happened",
    "summary_fr": "Essai des alertes : rien ne s'est passé",
    "description": "Somebody has typed `citadelle alerts test`.",
    "description_fr": "Quelqu'un a tapé « citadelle alerts test ».",
    "runbook_url": "docs/observability.md",
}
Counts = dict[str, tuple[int, int]]


def address() -> str:
    """Where Alertmanager listens. Raises OSError where it does not run."""
    template = f'{{{{with index .NetworkSettings.Networks "{NETWORK}"}}}}{{{{.IPAddress}}}}{{{{end}}}}'
    command = ["docker", "container", "inspect", "--format", template, CONTAINER]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not done.stdout.strip():
        raise OSError(f"Alertmanager does not run: {CONTAINER}")
    return f"http://{done.stdout.strip()}:9093"


def ask(url: str, body: object = None) -> str:
    """One request with the password, straight. Raises OSError."""
    login = base64.b64encode(f"citadelle:{PASSWORD.read_text()}".encode()).decode()
    headers = {"Authorization": f"Basic {login}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(url, data, headers), timeout=10) as response:  # noqa: S310  the address above
        return response.read().decode()


def counts(base: str) -> Counts:
    """By integration: attempts, and those that failed."""
    found: dict[str, list[int]] = {}
    for failed, name, number in _COUNT.findall(ask(f"{base}/metrics")):
        found.setdefault(name, [0, 0])[bool(failed)] = int(float(number))
    return {name: (all_of_them, failed) for name, (all_of_them, failed) in found.items()}


def configured() -> list[str]:
    """Integrations of the people's receiver. Raises OSError where there is none."""
    text = CONFIG.read_text().partition("- name: people")[2].partition("\n- name:")[0]
    found = [name for name in INTEGRATIONS if f"{name}_configs:" in text]
    if not found:
        raise OSError("no receiver is set: observability_receivers")
    return found


def marked_alert(now: datetime) -> dict:
    """As Alertmanager takes it; over after a while by itself."""
    labels = {"alertname": "AlertTest", "severity": "info", "host": socket.gethostname(), "test": secrets.token_hex(4)}
    return {
        "labels": labels,
        "annotations": TEXT,
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(minutes=5)).isoformat(),
    }


def outcome(base: str, names: list[str], before: Counts) -> dict[str, dict[str, int]]:
    """Until each has been tried with success, or the time is over."""
    end = time.monotonic() + SECONDS
    while True:
        now = counts(base)
        found = {INTEGRATIONS[name]: _since(before.get(name, (0, 0)), now.get(name, (0, 0))) for name in names}
        if all(row["delivered"] for row in found.values()) or time.monotonic() > end:
            return found
        time.sleep(0.5)


def _since(before: tuple[int, int], now: tuple[int, int]) -> dict[str, int]:
    tried, failed = now[0] - before[0], now[1] - before[1]
    return {"delivered": tried - failed, "refused": failed}


def main() -> int:
    """Send it, wait, print; 1 where a receiver did not take it."""
    try:
        base, names = address(), configured()
        before = counts(base)
        ask(f"{base}/api/v2/alerts", [marked_alert(datetime.now(timezone.utc))])  # noqa: UP017  Python 3.10
        found = outcome(base, names, before)
    except OSError as error:
        print(f"{error}\nhint: docs/observability.md; docker ps", file=sys.stderr)
        return 2
    print(json.dumps(found))
    return 0 if all(row["delivered"] for row in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
