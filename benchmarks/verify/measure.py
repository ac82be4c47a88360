"""One program run to its end: wall time, processor time, peak memory."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Run:
    """`wall` and `cpu` in seconds, `memory` in MB: resident at its peak, pages of mapped files included."""

    wall: float
    cpu: float
    memory: float
    out: str


# A small parent: a child counts the memory of the process that it was forked from.
PARENT = """
import json, os, sys, time
start = time.monotonic()
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, used = os.wait4(child, 0)
figures = [time.monotonic() - start, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 1e6, os.waitstatus_to_exitcode(status)]
os.write(3, json.dumps(figures).encode())
"""


def run(argv: Sequence[str]) -> Run:
    """Raises `RuntimeError` with the end of its output where it fails."""
    program = shutil.which(argv[0]) or argv[0]
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile() as told:
        command = f'exec "$@" 3>&{told.fileno()}'
        parent = [sys.executable, "-I", "-S", "-c", PARENT, program, *argv[1:]]
        subprocess.run(
            ["bash", "-c", command, "bash", *parent], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
            pass_fds=[told.fileno()], check=True,
        )  # fmt: skip
        out.seek(0)
        told.seek(0)
        said = out.read()
        wall, cpu, memory, code = json.loads(told.read())
    if code:
        raise RuntimeError(f"{' '.join(argv)}: exit code {code}\n{said[-2000:]}")
    return Run(wall, cpu, memory, said)
