"""The spool, for real: rsyslog of Debian in a container, its SIEM away, so many lines written; then the SIEM comes, and all is counted.

The SIEM is the double of the tests, with TLS 1.3; Loki's double takes the trail too. With `kills`, rsyslog is killed (SIGKILL) so often
while its spool is full: half of them before the SIEM is back, half while the lines leave.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from citadelle import audit
from citadelle.shipping import rsyslog
from citadelle.shipping.rsyslog import Shipping, Siem
from tests.shipping.loki import Loki, loki
from tests.shipping.siem import CLIENT, NAME, siem
from tests.shipping.siem import Siem as Double
from tests.shipping.test_forms import WHOLE

ROOT = Path(__file__).resolve().parents[2]
KEY, CONTAINER, IMAGE = b"k" * 32, "citadelle-benchmark-logs", "citadelle-lab/pc"
SECONDS = 1800
BATCH = 512  # what may come twice after a kill: one batch
# As its unit does: started again when it is killed.
START = (
    "apt-get -qq install --yes --no-install-recommends rsyslog >/dev/null"
    " && mkdir -p /var/lib/citadelle/logs /var/lib/node_exporter/textfile /var/log/citadelle/anchors"
    " && while :; do rsyslogd -n -i NONE -f /etc/citadelle/logs/rsyslog.conf; sleep 1; done"
)


def configured(folder: Path, double: Double, form: str) -> None:
    """As the role places it."""
    wanted = Shipping(CLIENT, Siem(double.address, double.port, NAME, form), loki=True, figures=1)  # type: ignore[arg-type]
    # A container has no journal.
    text = rsyslog.configuration(wanted).decode().partition('module(load="imjournal"')[0]
    (folder / "rsyslog.conf").write_text(text)
    for name, source in (("certificate.pem", f"{CLIENT}.pem"), ("key.pem", f"{CLIENT}.key")):
        (folder / name).write_bytes((folder / source).read_bytes())


@contextmanager
def container(folder: Path) -> Iterator[None]:
    """rsyslog, beside the doubles on this machine's loopback."""
    binds = {
        folder: "/etc/citadelle/logs:ro",
        folder / "audit": audit.LOG,
        ROOT / "citadelle": "/usr/local/lib/citadelle:ro",
    }
    mounts = [word for source, target in binds.items() for word in ("--volume", f"{source}:{target}")]
    command = ["docker", "run", "--detach", "--rm", "--init", "--name", CONTAINER, "--network", "host", *mounts]
    subprocess.run([*command, IMAGE, "sh", "-c", START], check=True, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        subprocess.run(["docker", "rm", "--force", CONTAINER], check=False, capture_output=True)


def write(log: Path, count: int) -> float:
    """So many records, as the receiver writes them; seconds of processor time for one."""
    previous, moment = audit.NOTHING, datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    began = time.process_time()
    with (log / "audit-000000000001.jsonl").open("wb") as file:
        for number in range(1, count + 1):
            body = {"seq": number, "ts": moment, **WHOLE, "id": f"r{number}", "prev": previous}
            line, previous = audit.seal(KEY, body)
            file.write(line)
    return (time.process_time() - began) / count


def inside(*command: str) -> str:
    """What a command says in the container; empty while that is busy being born."""
    done = subprocess.run(
        ["docker", "exec", CONTAINER, *command], capture_output=True, text=True, check=False, timeout=60
    )
    return done.stdout


def processor() -> float:
    """Seconds of all processes that live in the container, and of what they have waited for."""
    fields = [line.rpartition(")")[2].split() for line in inside("sh", "-c", "cat /proc/[0-9]*/stat").splitlines()]
    return sum(int(one) for line in fields for one in line[11:15]) / 100


def until(what: Callable[[], bool], problem: Callable[[], str]) -> float:
    """Seconds until it is so; SystemExit with the problem after half an hour."""
    began = time.perf_counter()
    while not what():
        if time.perf_counter() - began > SECONDS:
            raise SystemExit(problem())
        time.sleep(0.2)
    return time.perf_counter() - began


def waiting(leg: str) -> int:
    """Lines that wait for a receiver, by rsyslog's own figures; -1 before there are any."""
    text = inside("cat", "/var/lib/node_exporter/textfile/citadelle_logs.prom")
    found = [line.split()[1] for line in text.splitlines() if line.startswith(f'citadelle_logs_waiting{{leg="{leg}"}}')]
    return int(float(found[0])) if found else -1


def kill(times: int) -> None:
    """SIGKILL, and its next life has begun."""
    for _ in range(times):
        before = _process()
        inside("pkill", "-9", "-x", "rsyslogd")
        while _process() in {"", before}:
            time.sleep(0.1)
        time.sleep(1)


def _process() -> str:
    return inside("pgrep", "-x", "rsyslogd")


def original(message: bytes) -> bytes:
    """The record's own line in a message."""
    body = json.loads(message.split(b"] ", 1)[1])
    return (body["event"]["original"] if "event" in body else body["raw_data"]).encode() + b"\n"


def judged(double: Double, kept: Loki, count: int, kills: int) -> int:
    """Each line there, whole by its own hash, once and in order; after kills, how many came twice: no more than a batch for each."""
    numbers = [audit.unseal(KEY, original(message))["seq"] for message in double.messages]
    twice = len(numbers) - len(set(numbers))
    in_order = list(dict.fromkeys(numbers)) == list(range(1, count + 1))
    if not in_order or twice > kills * BATCH:
        raise SystemExit(
            f"lost, twice or out of order: {len(numbers)} messages, {len(set(numbers))} records of {count}"
        )
    if double.refused or kept.refused or len(kept.lines(job="audit")) != count:
        raise SystemExit(f"refused: {double.refused[:3]} {kept.refused[:3]}; Loki has {len(kept.lines(job='audit'))}")
    return twice


def measure(count: int, form: str, kills: int) -> dict[str, float]:
    """Seconds and rates of one outage. Raises SystemExit where a line is lost, comes twice, out of order, or does not fit its hash."""
    with tempfile.TemporaryDirectory() as name, siem(Path(name)) as double, loki(3100) as kept:
        folder = Path(name)
        configured(folder, double, form)
        double.stop()
        (folder / "audit").mkdir()
        with container(folder):
            until(lambda: waiting("siem") == 0, lambda: "rsyslog does not start")
            idle = processor()
            each = write(folder / "audit", count)
            spooled = until(lambda: waiting("siem") == count, lambda: f"{waiting('siem')} lines wait")
            taken, used = int(inside("du", "-sb", "/var/lib/citadelle/logs").split()[0]), processor()
            kill(kills // 2)
            double.start()
            began = time.perf_counter()
            until(lambda: len(double.messages) >= count // 4, lambda: f"{len(double.messages)} lines came")
            kill(kills - kills // 2)
            until(
                lambda: waiting("siem") == 0 and len(double.messages) >= count,
                lambda: f"{len(double.messages)} lines came",
            )
            delivered = time.perf_counter() - began
            twice, spent = judged(double, kept, count, kills), processor()
        return {
            "lines": count, "kills": kills, "came twice": twice, "sealing, us": round(each * 1e6, 1),
            "spooled to the disk, lines/s": round(count / spooled), "spool, MB": round(taken / 1e6, 1),
            "delivered, lines/s": round(count / delivered),
            **({} if kills else {"processor, us for a line": round((spent - idle) / count * 1e6, 1),
                                 "of that while it is spooled": round((used - idle) / count * 1e6, 1)}),
        }  # fmt: skip
