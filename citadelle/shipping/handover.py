"""How rsyslog hands lines over (omprog, in transactions): a batch is delivered, or it stays in rsyslog's queue on the disk.

Source: rsyslog.com/doc/configuration/modules/omprog, `confirmMessages` and `useTransactions`.
"""

from __future__ import annotations

import sys
import syslog
import time
from collections.abc import Callable

PROGRAM = "/usr/local/lib/citadelle/shipping/handover.py"
# rsyslog 8.2302 comes again at once, whatever its action.resumeInterval: seen, fifty times a second, and it told the journal each time.
AGAIN_SECONDS = 2.0
BEGIN, COMMIT = "BEGIN TRANSACTION", "COMMIT TRANSACTION"


def serve(deliver: Callable[[list[str]], str]) -> None:
    """Until there is no more. `deliver` takes a batch, and says nothing, or why it could not: then the batch comes again."""
    sys.stdin.reconfigure(errors="replace")  # type: ignore[union-attr]
    batch: list[str] = []
    say("OK")
    for given in sys.stdin:
        line = given.rstrip("\n")
        if line == BEGIN:
            batch = []
            say("OK")
        elif line == COMMIT:
            if problem := deliver(batch):
                time.sleep(AGAIN_SECONDS)
            say(problem or "OK")
        else:
            batch.append(line)
            say("DEFER_COMMIT")


def say(word: str) -> None:
    """One answer for each line."""
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


def report(text: str) -> None:
    """To the journal: rsyslog throws away what its programs write beside their answers."""
    syslog.openlog("citadelle-logs", 0, syslog.LOG_DAEMON)
    syslog.syslog(syslog.LOG_WARNING, text)
