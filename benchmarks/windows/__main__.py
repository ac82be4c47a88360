"""How long the look at a Windows PC takes: the script by its own watch, as its reader waits for it, and its processor time.

`python -m benchmarks.windows [--rounds N] [--start SECONDS]`

The PC is the Windows double with the genuine engine (`tests/lab/windows`); each program start on it is made to take 0.2 s more, as
real ones do. Its cmdlets answer from a file: a real Windows takes longer in some (Get-BitLockerVolume, Get-LocalUser of a domain).
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import statistics
import tempfile
import time
from contextlib import suppress
from datetime import date
from pathlib import Path

from citadelle import powershell
from citadelle.facts.hardening import Hardening
from citadelle.hardening.judge import judge
from citadelle.hardening.state import State
from citadelle.hardening.table import Table
from tests.lab import commands
from tests.lab.powershell import find
from tests.windows_double.conftest import Double

ROOT = Path(__file__).resolve().parents[2]


class Timed:
    """One PowerShell on a double, and how long each of its answers took, in seconds."""

    def __init__(self, double: Double) -> None:
        self._begin = time.perf_counter()
        self._process = double.start(powershell.START)
        self.start, _ = self._answer()

    def _answer(self) -> tuple[float, dict]:
        assert self._process.stdout is not None
        while not (found := powershell.ANSWER.search(line := self._process.stdout.readline())):
            if not line:
                raise SystemExit("the PowerShell ended without an answer")
        return time.perf_counter() - self._begin, json.loads(base64.b64decode(found[1]))

    def ask(self, script: str) -> tuple[float, dict]:
        """Time and answer of one script."""
        assert self._process.stdin is not None
        self._begin = time.perf_counter()
        self._process.stdin.write(powershell.request(script))
        self._process.stdin.flush()
        return self._answer()

    def processor(self) -> float:
        """Seconds of processor time of the PowerShell and all that it has started, also of what has ended."""
        found: dict[int, list[int]] = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                fields = stat.read_text().rpartition(")")[2].split()
                found[int(stat.parent.name)] = [int(fields[1]), sum(map(int, fields[11:15]))]
        mine = {self._process.pid}
        while more := {pid for pid, (parent, _) in found.items() if parent in mine} - mine:
            mine |= more
        return sum(found[pid][1] for pid in mine & found.keys()) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        """End it."""
        self._process.communicate()


def measure(double: Double, table: Table, rounds: int) -> dict[str, list[float]]:
    """Milliseconds by what they are of; each round has a PowerShell of its own."""
    figures: dict[str, list[float]] = {}

    def note(name: str, milliseconds: float) -> None:
        figures.setdefault(name, []).append(milliseconds)

    look = Hardening().command(values=table.registry_values)
    for _ in range(rounds):
        shell = Timed(double)
        note("start of PowerShell", shell.start * 1000)
        for name in ("first", "second"):
            spent = shell.processor()
            seconds, answer = shell.ask(look)
            note(f"{name} look, processor time", (shell.processor() - spent) * 1000)
            state: State = Hardening().process(answer["out"])
            note(f"{name} look, its reader", seconds * 1000)
            note(f"{name} look, its own watch", state.milliseconds)
        begin = time.perf_counter()
        judge(state, table, [], host="pc1", groups=["windows"], today=date.today())
        note(f"judging {len(table.controls)} controls", (time.perf_counter() - begin) * 1000)
        shell.close()
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--start", type=float, default=0.2, help="seconds that each program start on the PC takes more")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        engine = find(commands.Log(Path(folder) / "log"), fetch=False)
        if engine.folder is None:
            raise SystemExit(f"no PowerShell engine here: {engine.origin}")
        double = Double(Path(folder) / "pc", str(engine.folder), engine.personality != "powershell.exe")
        double.control("setup")
        double.control("slow", str(wanted.start))
        table = Table.load(ROOT / "policies/windows.yaml")
        print(
            f"{engine.origin}; {wanted.rounds} rounds, each program start {wanted.start} s longer; median (least to most), ms"
        )
        for name, values in measure(double, table, wanted.rounds).items():
            print(f"{name:32} {statistics.median(values):8.0f} ({min(values):.0f} to {max(values):.0f})")


if __name__ == "__main__":
    main()
