"""A record of the audit trail, written: processor time of the genuine receiver, and of its part that appends, seals and hands to the disk.

`append` is that part alone, in this process. `receiver` is the whole program behind its socket, which is told of each request twice, when
it begins and when it is over: read, judged, sealed, written, answered, and synced each second.
"""

from __future__ import annotations

import json
import socket
import tempfile
import time
from pathlib import Path
from statistics import median

from citadelle import audit
from citadelle.audit_log import Log
from tests.gateway.receiver import Receiver, receiving
from tests.shipping.test_forms import WHOLE

RECORD = {name: value for name, value in WHOLE.items() if name in audit.FIELDS}
BEGINS = ("id", "key", "groups", "route", "model", "stream", "policy", "prompt")


def appended(count: int) -> float:
    """Microseconds of processor time for one, the last sync included."""
    with tempfile.TemporaryDirectory() as name:
        log = Log(Path(name), Path(name) / "key")
        began = time.process_time()
        for number in range(count):
            log.append({"event": "request", **RECORD, "id": f"r{number}"})
        log.sync()
        spent = time.process_time() - began
        audit.verify(Path(name), audit.read_key(Path(name) / "key"))
    return 1e6 * spent / count


def _messages(number: int) -> bytes:
    record = RECORD | {"id": f"r{number}"}
    opened = {name: record[name] for name in BEGINS}
    return b"".join(
        json.dumps({"op": word, "record": fields}).encode() + b"\n"
        for word, fields in (("open", opened), ("close", record))
    )


def received(count: int, at_once: int) -> float:
    """Microseconds of the program's processor time for one request, `at_once` of them under way."""
    batches = [b"".join(_messages(one) for one in range(begin, begin + at_once)) for begin in range(0, count, at_once)]
    with tempfile.TemporaryDirectory() as name, receiving(Path(name) / "audit") as receiver:
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(str(receiver.socket))
            answers = link.makefile("rb")
            before = _spent(receiver)
            for batch in batches:
                link.sendall(batch)
                said = [json.loads(answers.readline()) for _ in range(2 * at_once)]
                if any("error" in one for one in said):
                    raise SystemExit(f"refused: {said}")
            spent = _spent(receiver) - before
        receiver.stop()
        audit.verify(receiver.log, audit.read_key(receiver.key))
    return 1e6 * spent / (len(batches) * at_once)


def _spent(receiver: Receiver) -> float:
    if not receiver.process:
        raise SystemExit("the receiver does not run")
    return int(Path(f"/proc/{receiver.process.pid}/schedstat").read_text().split()[0]) / 1e9


def measure(count: int, rounds: int) -> dict[str, float]:
    """Medians of so many rounds. Raises where a record is refused, or the chain does not hold afterwards."""
    return {
        "append, us": round(median(appended(count) for _ in range(rounds)), 1),
        "receiver, us for a request, 16 at once": round(median(received(count, 16) for _ in range(rounds)), 1),
        "receiver, us for a request, one by one": round(median(received(count, 1) for _ in range(rounds)), 1),
    }
