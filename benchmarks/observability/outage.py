"""A SIEM that is away from a deployed PC of the lab, for minutes, while its audit trail grows; then it is back, and all is counted.

The records come to the receiver's own socket, as the gateway's do, paced over nearly the whole outage: no model could answer so many.
"""

from __future__ import annotations

import json
import time

from benchmarks.observability.cost import deployed, do
from benchmarks.observability.spool import original, until
from citadelle import audit
from tests.shipping.siem import Siem
from tests.shipping.test_forms import WHOLE

SOCKET = "/run/citadelle/audit/audit.sock"
PART = 0.9  # of the outage, over which the records come
WRITER = """
import json, socket, time
count, seconds, batch = {count}, {seconds}, 50
record = json.loads({record!r})
link = socket.socket(socket.AF_UNIX)
link.connect({socket!r})
answers, begin = link.makefile("rb"), time.monotonic()
for first in range(0, count, batch):
    for number in range(first, first + batch):
        line = json.dumps({{"op": "close", "record": record | {{"id": f"outage-{{begin:.0f}}-{{number}}"}}}})
        link.sendall(line.encode() + b"\\n")
    said = [json.loads(answers.readline()) for _ in range(batch)]
    assert not any("error" in one for one in said), said[:1]
    time.sleep(max(0, begin + (first + batch) / count * seconds - time.monotonic()))
"""
RUN = "systemd-run --quiet --collect --unit citadelle-outage python3 -I -B /root/outage.py"
RUNS = "systemctl is-active citadelle-outage || true"
FIRING = r"""
address=$(docker inspect --format '{{.NetworkSettings.Networks.citadelle_watch.IPAddress}}' citadelle-prometheus-1)
curl --silent --user "citadelle:$(cat /run/citadelle/observability/prometheus/password)" \
  "http://$address:9090/api/v1/query" --data-urlencode 'query=ALERTS{alertname="LogsUndelivered",alertstate="firing",leg="siem"}'"""
WAITING = "sed -n 's/^citadelle_logs_waiting{leg=\"siem\"} //p' /var/lib/node_exporter/textfile/citadelle_logs.prom 2>/dev/null || echo -1"


def judged(double: Siem, key: bytes) -> int:
    """Records that came: each whole by its hash, once, in order, with none left out, and no id twice. Raises SystemExit, Problem."""
    records = [audit.unseal(key, original(one)) for one in double.messages if b'event="anchor"' not in one]
    numbers = [record["seq"] for record in records]
    names = [record["id"] for record in records if "id" in record]
    if numbers != list(range(numbers[0], numbers[0] + len(numbers))) or len(set(names)) != len(names):
        raise SystemExit(f"lost, twice or out of order: {len(numbers)} records, {len(set(numbers))} numbers")
    if double.refused:
        raise SystemExit(f"refused: {double.refused[:3]}")
    return len(numbers)


def measure(count: int, minutes: float) -> dict[str, object]:
    """Figures of one outage."""
    record = {name: value for name, value in WHOLE.items() if name in audit.FIELDS}
    with deployed() as double:
        until(lambda: do(WAITING).strip() == "0", lambda: f"{do(WAITING)} lines wait before it begins")
        began, before = time.monotonic(), len(double.records())
        double.stop()
        writer = WRITER.format(count=count, seconds=60 * minutes * PART, record=json.dumps(record), socket=SOCKET)
        do("cat > /root/outage.py", writer.encode())
        do(RUN)
        until(lambda: do(RUNS).strip() == "inactive", lambda: "the writer does not end")
        time.sleep(max(0.0, began + 60 * minutes - time.monotonic()))
        firing = len(json.loads(do(FIRING))["data"]["result"])
        waiting, taken = (
            int(float(do(WAITING))),
            int(do("du -scb /var/lib/citadelle/logs/siem.* | tail -n 1").split()[0]),
        )
        away = time.monotonic() - began
        double.start()
        delivered = until(
            lambda: len(double.records()) >= before + count, lambda: f"{len(double.records()) - before} records came"
        )
        until(lambda: do(WAITING).strip() == "0", lambda: f"{do(WAITING)} lines wait")
        came = judged(double, bytes.fromhex(do("cat /var/lib/citadelle/audit/key"))) - before
        chain = do(f"python3 -I -B {audit.PROGRAM}").strip()
    return {
        "away, s": round(away), "records written meanwhile": count, "lines that waited": waiting, "spool, MB": round(taken / 1e6, 1),
        "alert LogsUndelivered": "fires" if firing else "does not fire", "records delivered": came,
        "delivered, lines/s": round(count / delivered), "delivered within, s": round(delivered, 1), "trail on the host": chain,
    }  # fmt: skip
