"""One line for every process that the double starts: lets a test or a benchmark count them independently."""

import json
import os
import time

from . import home


def note(program: str, argv: list[str], **more: object) -> None:
    """Appends {time, pid, parent, program, argv}; standard input is never part of it."""
    entry = {"time": time.time(), "pid": os.getpid(), "parent": os.getppid(), "program": program, "argv": argv} | more
    line = json.dumps(entry, ensure_ascii=False).encode("utf-8", "surrogateescape") + b"\n"
    handle = os.open(home.JOURNAL, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(handle, line)
    finally:
        os.close(handle)
