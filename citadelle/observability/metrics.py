"""How a host is, as text for node_exporter: containers, packet filter, certificate, audit trail, backup, accelerators. By a timer, as root.

Runs on a host beside audit.py and textfile.py (standard library, Python 3.10 or newer): metrics.py [--audit-seconds N] [--backup FILE]; the
time of FILE is when the last backup has ended well. Docker's own figures are not asked for: they would be open to every process of the
host, on a port without a login. Each look that fails is `citadelle_probe_ok` 0, and an alert of its own: what cannot be measured must not
look like what is well.
"""

from __future__ import annotations

import argparse
import functools
import json
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

if not __package__:  # run as a file: its folder is the package `citadelle`, on a host as in the checkout
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from citadelle import audit, textfile
from citadelle.observability import accelerators, documents
from citadelle.textfile import Sample

PROGRAM = "/usr/local/lib/citadelle/metrics.py"
TARGET = Path("/var/lib/node_exporter/textfile/citadelle_host.prom")
STATE = Path("/var/lib/citadelle/observability/audit.json")
RELEASE = Path("/opt/citadelle/current")
# By what for: TLS of the gateway, and who this host is to a SIEM.
CERTIFICATES = {"tls": Path("/etc/citadelle/tls/certificate.pem"), "siem": Path("/etc/citadelle/logs/certificate.pem")}
FIREWALL = Path("/etc/citadelle/firewall.nft")
LOGS = Path("/etc/citadelle/logs/rsyslog.conf")
TEXTS = {
    "citadelle_probe_ok": "Whether a look at the host worked.",
    "citadelle_container_running": "Whether a service of the current release runs.",
    "citadelle_container_healthy": "Whether its health check agrees.",
    "citadelle_container_restarts": "How often Docker has started it again.",
    "citadelle_container_image_match": "Whether it runs the image that the release names by digest.",
    "citadelle_docker_containers": "Containers that Docker has, by their state, those of others too.",
    "citadelle_docker_memory_bytes": "Memory that Docker itself takes.",
    "citadelle_firewall_loaded": "Whether the host's own table of the packet filter is there.",
    "citadelle_firewall_packets_total": "Packets that it has refused, or let pass unasked.",
    "citadelle_certificate_not_after_timestamp_seconds": "When a certificate of this host ends.",
    "citadelle_logs_running": "Whether logs are shipped, where they shall be.",
    "citadelle_trail_ok": "Whether changes are recorded and, where logs are shipped, the audit trail anchored.",
    "citadelle_anchor_timestamp_seconds": "When the newest anchor was made.",
    "citadelle_backup_watched": "Whether the settings name a backup.",
    "citadelle_backup_timestamp_seconds": "When the last backup has ended well; 0: never.",
    **accelerators.TEXTS,
    **documents.TEXTS,
    "citadelle_audit_valid": "Whether the audit trail's chain holds.",
    "citadelle_audit_checked_timestamp_seconds": "When that was judged.",
}


def answer(*command: str) -> str:
    """What a program says. Raises OSError where it fails."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        raise OSError(f"{command[0]}: {done.stderr.strip()[-200:]}")
    return done.stdout


@functools.lru_cache(1)
def inspected() -> tuple[list[str], list[dict[str, Any]]]:
    """The states of all containers, and all that Docker tells of those of the stack: asked once."""
    form = '{{.ID}} {{.State}} {{.Label "com.docker.compose.project"}}'
    rows = [line.split(" ", 2) for line in answer("docker", "ps", "--all", "--format", form).splitlines()]
    ids = [one for one, _, project in rows if project == "citadelle"]
    found = json.loads(answer("docker", "container", "inspect", *ids)) if ids else []
    return [state for _, state, _ in rows], found


def containers() -> Iterator[Sample]:
    """Every service of the current release, whether its container is there or not."""
    states, found = inspected()
    for state in sorted({"running", "exited", *states}):
        yield "citadelle_docker_containers", {"state": state}, states.count(state)
    by_name: dict[str, list[dict[str, Any]]] = {}
    for one in found:  # also one that somebody has put beside those of Compose, under the name of a service
        by_name.setdefault(one["Config"]["Labels"].get("com.docker.compose.service", "none"), []).append(one)
    hashes = RELEASE / "hashes"
    services = [line.split()[0] for line in hashes.read_text().splitlines()] if hashes.exists() else []
    pinned = (
        {line.partition("=")[2] for line in (RELEASE / "images.lock.env").read_text().splitlines()}
        if services
        else set()
    )
    for name in sorted({*services, *by_name}):
        yield from _service({"service": name}, by_name.get(name, []), pinned)


def _service(labels: dict[str, str], found: list[dict[str, Any]], pinned: set[str]) -> Iterator[Sample]:
    """All its containers have to be right."""
    states = [one["State"] for one in found]
    running = [state["Status"] == "running" for state in states]
    yield "citadelle_container_running", labels, bool(found) and all(running)
    if found:
        healthy = [state.get("Health", {}).get("Status") == "healthy" for state in states]
        images = [(one["Config"]["Image"], one["Image"]) for one in found]
        match = [name in pinned and name.endswith(f"@{digest}") for name, digest in images]
        yield "citadelle_container_healthy", labels, all(healthy)
        yield "citadelle_container_restarts", labels, max(one["RestartCount"] for one in found)
        yield "citadelle_container_image_match", labels, all(match)


def rag() -> Iterator[Sample]:
    """What rag says of itself, where one runs."""
    for one in inspected()[1]:
        if one["Config"]["Labels"].get("com.docker.compose.service") == "rag":
            yield from documents.samples(one["State"].get("Health", {}))
            return


def firewall() -> Iterator[Sample]:
    """Whether the table is there, where the hardening has placed one, and what its counters say."""
    if not FIREWALL.exists():
        return
    tables = [row["table"] for row in json.loads(answer("nft", "-j", "list", "tables"))["nftables"] if "table" in row]
    loaded = any(one["family"] == "inet" and one["name"] == "citadelle" for one in tables)
    yield "citadelle_firewall_loaded", {}, loaded
    if loaded:
        rows = json.loads(answer("nft", "-j", "list", "counters", "table", "inet", "citadelle"))["nftables"]
        for row in rows:
            if counter := row.get("counter"):
                yield "citadelle_firewall_packets_total", {"counter": counter["name"]}, counter["packets"]


def certificate() -> Iterator[Sample]:
    """When each ends that there is."""
    for use, path in CERTIFICATES.items():
        if path.exists():
            # The only reader of a certificate in the standard library, since Python 2.6 under this name.
            found = ssl._ssl._test_decode_cert(str(path))  # type: ignore[attr-defined]
            end = ssl.cert_time_to_seconds(found["notAfter"])
            yield "citadelle_certificate_not_after_timestamp_seconds", {"use": use}, end


def logs() -> Iterator[Sample]:
    """Whether who ships them runs, where a deploy has told it to; and who records changes and anchors, of every stack."""
    if not RELEASE.exists() and not LOGS.exists():
        return
    units = ("citadelle-logs.service", "citadelle-trail.timer", "citadelle-trail.service")
    said = answer("systemctl", "show", "--property=ActiveState,Result", *units)
    shipping, timer, run = (
        dict(line.split("=", 1) for line in part.splitlines()) for part in said.strip().split("\n\n")
    )
    if RELEASE.exists():
        yield "citadelle_trail_ok", {}, timer["ActiveState"] == "active" and run["Result"] == "success"
    if LOGS.exists():
        yield "citadelle_logs_running", {}, shipping["ActiveState"] == "active"
        anchors = Path(audit.ANCHORS)
        yield "citadelle_anchor_timestamp_seconds", {}, anchors.stat().st_mtime if anchors.exists() else 0


def docker() -> Iterator[Sample]:
    """What Docker itself takes, where systemd counts that."""
    said = answer("systemctl", "show", "--property=MemoryCurrent", "--value", "docker.service").strip()
    if said.isdigit():
        yield "citadelle_docker_memory_bytes", {}, int(said)


def backup(file: Path | None) -> Iterator[Sample]:
    """When it has ended well, of a file that the settings name; one that is absent is one that never did."""
    yield "citadelle_backup_watched", {}, file is not None
    if file:
        yield "citadelle_backup_timestamp_seconds", {}, file.stat().st_mtime if file.exists() else 0


def trail(seconds: float, now: float) -> Iterator[Sample]:
    """Whether the chain holds, judged when the last time is longer ago than `seconds`; what is wrong goes to the journal."""
    state = json.loads(STATE.read_text()) if STATE.exists() else {}
    if not 0 <= now - state.get("checked", -seconds) < seconds:
        state = _judged(state, now)
        textfile.write(STATE, json.dumps(state))
    yield "citadelle_audit_valid", {}, state["valid"]
    yield "citadelle_audit_checked_timestamp_seconds", {}, state["checked"]


def _judged(state: dict[str, Any], now: float) -> dict[str, Any]:
    """Closed files are judged again when they were touched; the newest one always."""
    paths = audit.files_of(Path(audit.LOG))
    stats = [(path.name, path.stat()) for path in paths[:-1]]
    closed = [[name, stat.st_size, stat.st_mtime_ns, stat.st_ino] for name, stat in stats]
    known = state.get("valid") and closed and closed == state.get("closed")
    since = int(paths[-1].stem.partition("-")[2]) if known else audit.began()
    problem = ""
    for _ in range(2):  # a line that is being written while it is read is whole the second time
        try:
            audit.verify(Path(audit.LOG), audit.read_key(Path(audit.KEY)), since)
        except audit.Problem as found:
            problem = str(found)
        else:
            return {"checked": now, "valid": True, "closed": closed}
    print(f"audit trail: {problem}", file=sys.stderr)
    return {"checked": now, "valid": False, "closed": []}


def looked(probes: dict[str, Callable[[], Iterator[Sample]]]) -> Iterator[Sample]:
    """What all of them found; one that fails takes no other along, and nothing of it is half said."""
    for name, probe in probes.items():
        try:
            found = list(probe())
        except (OSError, ValueError, LookupError, subprocess.TimeoutExpired) as error:
            print(f"{name} cannot be measured: {error}", file=sys.stderr)
            yield "citadelle_probe_ok", {"probe": name}, 0
            continue
        yield "citadelle_probe_ok", {"probe": name}, 1
        yield from found


def main() -> int:
    """Look and write; always 0: what failed is in what was written."""
    parser = argparse.ArgumentParser(description="Write how this host is.")
    parser.add_argument("--audit-seconds", type=float, default=900)
    parser.add_argument("--backup", type=Path)
    given, now = parser.parse_args(), time.time()
    probes = {
        "containers": containers,
        "rag": rag,
        "firewall": firewall,
        "certificate": certificate,
        "logs": logs,
        "docker": docker,
        "backup": lambda: backup(given.backup),
        "accelerators": accelerators.samples,
        "audit": lambda: trail(given.audit_seconds, now),
    }
    textfile.write(TARGET, textfile.text(list(looked(probes)), TEXTS))
    return 0


if __name__ == "__main__":
    sys.exit(main())
