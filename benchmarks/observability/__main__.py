"""The spool, for real: rsyslog of Debian in a container, its SIEM away, so many lines written; then the SIEM comes, and all is counted.

    python -m benchmarks.observability [--lines 100000] [--image citadelle-lab/pc] [--form ecs]

Needs Docker and the image of lab PCs (`bin/lab`). The SIEM is the double of the tests, with TLS 1.3; Loki's double takes the trail too.
Prints JSON: seconds, rates, processor seconds of the whole container (rsyslog and its programs), bytes on the disk. Fails where a line is
lost, comes twice, out of order, or does not fit its hash.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from citadelle import audit
from citadelle.shipping import rsyslog
from citadelle.shipping.rsyslog import Shipping, Siem
from tests.shipping.loki import Loki, loki
from tests.shipping.siem import CLIENT, NAME, siem
from tests.shipping.siem import Siem as Double
from tests.shipping.test_forms import WHOLE

ROOT = Path(__file__).resolve().parents[2]
KEY, CONTAINER = b"k" * 32, "citadelle-benchmark-logs"
SECONDS = 1800
START = (
    "apt-get -qq install --yes --no-install-recommends rsyslog >/dev/null"
    " && mkdir -p /var/lib/citadelle/logs /var/lib/node_exporter/textfile"
    " /var/log/citadelle/anchors && exec rsyslogd -n -i NONE -f /etc/citadelle/logs/rsyslog.conf"
)


def configured(folder: Path, double: Double, form: str, lines: int) -> None:
    """As the role places it."""
    wanted = Shipping(CLIENT, Siem(double.address, double.port, NAME, form), loki=True, figures=1)  # type: ignore[arg-type]
    # A container has no journal.
    text = rsyslog.configuration(wanted).decode().partition('module(load="imjournal"')[0]
    (folder / "rsyslog.conf").write_text(text)
    for name, source in (("certificate.pem", f"{CLIENT}.pem"), ("key.pem", f"{CLIENT}.key")):
        (folder / name).write_bytes((folder / source).read_bytes())


def write(log: Path, count: int) -> float:
    """So many records, as the receiver writes them; seconds for one."""
    previous, began = audit.NOTHING, time.perf_counter()
    with (log / "audit-000000000001.jsonl").open("wb") as file:
        for number in range(1, count + 1):
            body = {"seq": number, "ts": "2026-11-22T18:00:00.123Z", **WHOLE, "id": f"r{number}", "prev": previous}
            line, previous = audit.seal(KEY, body)
            file.write(line)
    return (time.perf_counter() - began) / count


def inside(*command: str) -> str:
    return subprocess.run(
        ["docker", "exec", CONTAINER, *command], capture_output=True, text=True, check=False, timeout=60
    ).stdout


def processor() -> float:
    """Seconds of all processes of the container so far."""
    return int(inside("sed", "-n", "s/^usage_usec //p", "/sys/fs/cgroup/cpu.stat") or 0) / 1e6


def until(what: Callable[[], bool], problem: Callable[[], str]) -> float:
    """Seconds until it is so."""
    began = time.perf_counter()
    while not what():
        if time.perf_counter() - began > SECONDS:
            raise SystemExit(problem())
        time.sleep(0.2)
    return time.perf_counter() - began


def waiting(leg: str) -> int:
    text = inside("cat", "/var/lib/node_exporter/textfile/citadelle_logs.prom")
    found = [line.split()[1] for line in text.splitlines() if line.startswith(f'citadelle_logs_waiting{{leg="{leg}"}}')]
    return int(float(found[0])) if found else -1


def original(message: bytes) -> bytes:
    body = json.loads(message.split(b"] ", 1)[1])
    return (body["event"]["original"] if "event" in body else body["raw_data"]).encode() + b"\n"


def judged(double: Double, kept: Loki, count: int) -> None:
    """Each line once, in order, whole: by the record's own hash."""
    numbers = [audit.unseal(KEY, original(message))["seq"] for message in double.messages]
    if numbers != list(range(1, count + 1)):
        raise SystemExit(
            f"lost, twice or out of order: {len(numbers)} messages, {len(set(numbers))} records of {count}"
        )
    if double.refused or kept.refused or len(kept.lines(job="audit")) != count:
        raise SystemExit(f"refused: {double.refused[:3]} {kept.refused[:3]}; Loki has {len(kept.lines(job='audit'))}")


def measured(image: str, count: int, form: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name, siem(Path(name)) as double, loki(3100) as kept:
        folder = Path(name)
        configured(folder, double, form, count)
        double.stop()
        log = folder / "audit"
        log.mkdir()
        binds = [
            f"{folder}:/etc/citadelle/logs:ro",
            f"{log}:{audit.LOG}",
            f"{ROOT / 'citadelle'}:/usr/local/lib/citadelle:ro",
        ]
        mounts = [word for bind in binds for word in ("--volume", bind)]
        command = [
            "docker",
            "run",
            "--detach",
            "--rm",
            "--name",
            CONTAINER,
            "--network",
            "host",
            *mounts,
            image,
            "sh",
            "-c",
            START,
        ]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        try:
            until(lambda: waiting("siem") == 0, lambda: "rsyslog does not start")
            idle = processor()
            each = write(log, count)
            spooled = until(lambda: waiting("siem") == count, lambda: f"{waiting('siem')} lines wait")
            taken = int(inside("sh", "-c", "du -sb /var/lib/citadelle/logs").split()[0])
            used = processor() - idle
            double.start()
            delivered = until(lambda: len(double.messages) >= count, lambda: f"{len(double.messages)} lines came")
            until(lambda: waiting("siem") == 0, lambda: f"{waiting('siem')} lines still wait")
            judged(double, kept, count)
            return {
                "lines": count, "sealing_microseconds": round(each * 1e6, 1), "spooled_seconds": round(spooled, 1), "spool_bytes": taken,
                "spool_processor_seconds": round(used, 1), "delivered_seconds": round(delivered, 1),
                "delivered_per_second": round(count / delivered), "delivery_processor_seconds": round(processor() - idle - used, 1),
            }  # fmt: skip
        finally:
            subprocess.run(
                ["docker", "rm", "--force", CONTAINER],
                check=False,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--image", default="citadelle-lab/pc")
    parser.add_argument("--form", default="ecs", choices=["ecs", "ocsf"])
    given = parser.parse_args()
    json.dump(measured(given.image, given.lines, given.form), sys.stdout, indent=1)
    print()
