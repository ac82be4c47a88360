"""What seeing and shipping cost a host: processor time of a lab PC with all its parts, and with all of them stopped, in turn.

The PC is `srv1` with the roles' own intervals, both legs of logs, a double of Loki inside and one of a SIEM beside it. Under load it is
asked 50 times a second for the models that it has: each request is judged, counted, recorded, shipped, as one with a prompt is, and the
engine is left alone.
"""

from __future__ import annotations

import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from benchmarks.converge import measure as converge
from tests.lab import state
from tests.lab.commands import address
from tests.lab.pcs import exec_in_pc
from tests.lab.rollout import citadelle, rollout
from tests.lab.state import SRV1
from tests.shipping.loki import START, STOP
from tests.shipping.siem import NAME, Siem, siem

SOCKETS = "citadelle-metrics.timer citadelle-trail.timer citadelle-relay.socket prometheus-node-exporter.socket"
SERVICES = "citadelle-metrics citadelle-trail citadelle-relay prometheus-node-exporter citadelle-logs"
CONTAINERS = "citadelle-alertmanager-1 citadelle-prometheus-1"
ON = f"docker start {CONTAINERS} >/dev/null && systemctl start {SOCKETS} citadelle-logs"
OFF = f"systemctl stop {SOCKETS} {SERVICES} && docker stop {CONTAINERS} >/dev/null"
# Proportional, so that what several share counts once.
MEMORY = r"""
for pid in $(pgrep -f 'prometheus|alertmanager|rsyslogd.*citadelle|citadelle/shipping|citadelle/observability/relay'); do
  name=$(tr '\0\n' '  ' </proc/$pid/cmdline | cut -c 1-60)
  case $name in "" | sh\ *) continue ;; esac
  echo "$(sed -n 's/^Pss: *\([0-9]*\) kB/\1/p' /proc/$pid/smaps_rollup) $name"
done"""
ASK = """
import http.client, sys, time
key, rate, seconds = sys.stdin.read().strip(), %d, %d
link, begin, done = http.client.HTTPConnection("127.0.0.1", 8080), time.monotonic(), 0
while time.monotonic() < begin + seconds:
    link.request("GET", "/v1/models", headers={"Authorization": f"Bearer {key}"})
    answer = link.getresponse()
    answer.read()
    assert answer.status == 200, answer.status
    done += 1
    time.sleep(max(0, begin + done / rate - time.monotonic()))
print(done)
"""


def do(line: str, stdin: bytes = b"") -> str:
    """On srv1; it must succeed."""
    done = exec_in_pc(SRV1.name, ["sh", "-c", line], stdin=stdin)
    if done.returncode:
        raise SystemExit(f"{line}: {done.stderr.decode(errors='replace')}")
    return done.stdout.decode()


@contextmanager
def deployed() -> Iterator[Siem]:
    """srv1 with all parts, and the double of its SIEM; afterwards as it was."""
    with tempfile.TemporaryDirectory() as name, siem(Path(name), address(1)) as double:
        given = {"observability": True, "logs": True, "logs_siem": f"{double.address}:{double.port}", "logs_siem_peer": NAME,
                 "logs_siem_folder": name, "logs_loki": True}  # fmt: skip
        inventory = Path(name) / "inventory.py"
        text = (state.ROOT / "inventory/lab.py").read_text()
        inventory.write_text(f"{text}\nfor _, _data_of in linux:\n    _data_of |= {given!r}\n")
        do("cat > /root/loki.py", (state.ROOT / "tests/shipping/loki.py").read_bytes())
        do(START)
        try:
            _run(str(inventory))
            yield double
        finally:
            do(f"{ON}; {STOP}")
            _run("inventory")


def _run(inventory: str) -> None:
    run = rollout("--limit", "linux", inventory=inventory)
    if run.code:
        raise SystemExit(run.text)


def window(seconds: int, key: str, rate: int) -> float:
    """Processor seconds of the whole PC for each second, asked `rate` times a second."""
    group = [converge.group(SRV1.container)]
    before, begin = converge.spent(group), time.monotonic()
    if rate:
        asked = do(f"python3 -I -c '{ASK % (rate, seconds)}'", key.encode())
        if int(asked) < rate * seconds * 0.95:
            raise SystemExit(f"asked {asked} times only: the machine is too busy")
    else:
        time.sleep(seconds)
    return (converge.spent(group) - before) / (time.monotonic() - begin)


def measure(seconds: int, rounds: int, rate: int) -> dict[str, object]:
    """Percent of one core, idle and under load; MB by program."""
    with deployed():
        limits = [word for name in ("requests_minute", "requests_day") for word in ("--limit", f"{name}=1000000")]
        key = citadelle("keys", "create", f"cost-{secrets.token_hex(4)}", "--host", SRV1.name, *limits).stdout.split()[
            -1
        ]
        memory = [line.strip().split(" ", 1) for line in do(MEMORY).splitlines()]
        found: dict[str, list[float]] = {}
        for _ in range(rounds):
            for name, line in (("without", OFF), ("with", ON)):
                do(line)
                time.sleep(20)  # starting and stopping is not what is measured
                found.setdefault(f"idle, {name}", []).append(100 * window(seconds, key, 0))
                found.setdefault(f"{rate} requests/s, {name}", []).append(100 * window(seconds, key, rate))
    figures: dict[str, object] = {name: round(median(values), 2) for name, values in found.items()}
    for name in ("idle", f"{rate} requests/s"):
        spent = [one - other for one, other in zip(found[f"{name}, with"], found[f"{name}, without"], strict=True)]
        figures[f"{name}, cost in % of a core"] = f"{median(spent):.2f} ({min(spent):.2f} to {max(spent):.2f})"
    sizes = {name.strip(): round(int(size) / 1024, 1) for size, name in memory if size}
    return figures | {"memory, MB": round(sum(sizes.values()), 1), "of that": sizes}
