"""Commands on the lab's machine: argument lists, output kept in a log, a failure that says where to look."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path


def _number() -> int:
    """Which of the labs that may stand side by side on this machine, one per checkout: 1 to 9."""
    word = os.environ.get("CITADELLE_LAB_NUMBER", "1")
    if word not in set("123456789"):
        raise SystemExit(f"lab: not a number of a lab: CITADELLE_LAB_NUMBER={word}\nhint: 1 to 9")
    return int(word)


NUMBER = _number()
LABEL = f"org.citadelle.lab={NUMBER}"
PREFIX = "citadelle-lab" if NUMBER == 1 else f"citadelle-lab-{NUMBER}"
SUBNET = f"10.213.{NUMBER - 1}.0/24"


def address(last: int) -> str:
    """The address of this lab's bridge that ends in `last`."""
    return SUBNET.replace("0/24", str(last))


class LabError(Exception):
    """What stops the lab. `hint`: the next command for the person who reads it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.args[0]}\nhint: {self.hint}" if self.hint else str(self.args[0])


class Log:
    """Appends the output of one stage's commands to a file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
        self.path = path
        self._lock = threading.Lock()

    def write(self, text: str) -> None:
        with self._lock, self.path.open("a", errors="replace") as file:
            file.write(text)

    def tail(self, lines: int = 12) -> str:
        return "\n".join(self.path.read_text(errors="replace").splitlines()[-lines:])


def run(argv: Sequence[str | Path], log: Log, *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> None:
    """Run to its end with its output in `log`; raises `LabError` with the last lines when it fails."""
    line = " ".join(str(word) for word in argv)
    log.write(f"$ {line}\n")
    with log.path.open("ab") as file:
        code = subprocess.call(
            [str(word) for word in argv],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            cwd=cwd,
        )
    if code:
        raise LabError(f"command failed with exit code {code}: {line}\n{log.tail()}", f"less {log.path}")


def output(argv: Sequence[str | Path], *, timeout: float = 120) -> str | None:
    """Its standard output, stripped; None when it fails or is absent."""
    try:
        done = subprocess.run(
            [str(word) for word in argv],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def pipe(source: Sequence[str | Path], sink: Sequence[str | Path], log: Log) -> None:
    """`source | sink`; raises `LabError` when either fails."""
    log.write(f"$ {' '.join(map(str, source))} | {' '.join(map(str, sink))}\n")
    with log.path.open("ab") as file:
        first = subprocess.Popen(
            [str(word) for word in source], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=file
        )
        second = subprocess.Popen([str(word) for word in sink], stdin=first.stdout, stdout=file, stderr=file)
        assert first.stdout is not None
        first.stdout.close()
        codes = (second.wait(), first.wait())
    if any(codes):
        raise LabError(
            f"command failed: {' '.join(map(str, source))} | {' '.join(map(str, sink))}\n{log.tail()}",
            f"less {log.path}",
        )
