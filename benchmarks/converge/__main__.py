"""`python -m benchmarks.converge`: see README.md beside this file."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.converge import equality, fleet, measure, report, tools
from benchmarks.converge.facets import facets
from benchmarks.converge.session import Round, Scenario, converge, nothing_to_do
from tests.lab import state
from tests.lab.commands import LabError

START = time.monotonic()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.converge", description="A converge that has nothing to do."
    )
    parser.add_argument("--copies", type=int, default=10, metavar="N", help="copies of the Linux PC (%(default)s)")
    parser.add_argument("--repetitions", type=int, default=5, metavar="N", help="timed runs of each tool (%(default)s)")
    parser.add_argument(
        "--tool", action="append", default=[], help="compare with this tool only (stock, ansible); may be repeated"
    )
    parser.add_argument(
        "--no-equality", action="store_true", help="leave out the proof that the tools do the same work"
    )
    parser.add_argument("--no-lab", action="store_true", help="leave out the lab's own PCs")
    parser.add_argument("--keep", action="store_true", help="leave the copies running for the next run")
    parser.add_argument("--remove", action="store_true", help="remove copies that were kept, and nothing else")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures of all runs there")
    return parser.parse_args()


def say(text: str) -> None:
    print(f"[{time.monotonic() - START:6.1f} s] {text}", file=sys.stderr, flush=True)


def prepare(asked: argparse.Namespace, folder: Path) -> list[Scenario]:
    """Copies up and converged; what to run over what."""
    copies = fleet.copy_hosts(asked.copies)
    wanted = _desired(folder, next(iter(copies.values())))
    ours, *others = tools.tools(wanted)
    others = [tool for tool in others if not asked.tool or any(word in tool.name for word in asked.tool)]
    if any(tool.name == "ansible" for tool in others):
        tools.have_ansible()
    log = state.log("benchmark")
    first = fleet.have_first(log)
    _settle(Scenario("first copy", {first: copies[first]}, (ours,)), folder)
    fleet.have_others(asked.copies, log)
    plural = f"{asked.copies} copies"
    scenarios = [Scenario("1 copy", {first: copies[first]}, (ours, *others)), Scenario(plural, copies, (ours, *others))]
    if not asked.no_lab:
        lab = fleet.lab_hosts()
        scenarios += [Scenario("lab PCs", lab, (ours,)), Scenario(f"lab PCs and {plural}", {**lab, **copies}, (ours,))]
    for tool in scenarios[1].tools:
        _settle(Scenario(plural, copies, (tool,)), folder)
    return scenarios


def _settle(scenario: Scenario, folder: Path) -> None:
    """A first run that may change things: roles on a fresh copy, and Ansible brings Python packages of its own."""
    for tool in scenario.tools:
        said = converge(scenario, tool, folder).said
        say(f"{tool.name} on {scenario.name}: {sum(said.changed.values())} changes before the first figure")


def _desired(folder: Path, data: dict[str, Any]) -> Path:
    """In a process of its own: what it imports would count as memory of every tool that is started from here."""
    command = [sys.executable, "-m", "benchmarks.converge.desired", str(folder)]
    subprocess.run(command, input=json.dumps(data), text=True, check=True, cwd=tools.ROOT)
    return folder / "desired.json"


def count(scenarios: list[Scenario], folder: Path) -> tuple[list[Round], dict[str, int]]:
    """One run of each with its round trips counted, and the PowerShell starts of each Windows PC by its own journal."""
    rounds, starts = [], {}
    for scenario in scenarios:
        windows = [name.rpartition("/")[2] for name in scenario.hosts if name.startswith("@windows/")]
        before = {pc: fleet.powershell_starts(pc) for pc in windows}
        rounds += [nothing_to_do(scenario, tool, folder, say, count=True) for tool in scenario.tools]
        starts |= {pc: fleet.powershell_starts(pc) - number for pc, number in before.items()}
    return rounds, starts


def repeat(scenarios: list[Scenario], folder: Path, repetitions: int) -> list[Round]:
    """Timed runs, tools in turn, so that a disturbance meets all of them. Stopped, it gives the repetitions that are whole."""
    rounds: list[Round] = []
    for number in range(repetitions):
        whole = len(rounds)
        try:
            for scenario in scenarios:
                for tool in scenario.tools:
                    rounds.append(nothing_to_do(scenario, tool, folder, say))
                    say(f"{number + 1}/{repetitions} {scenario.name}: {tool.name}: {rounds[-1].run.wall:.1f} s")
        except KeyboardInterrupt:
            if not whole:
                raise
            say(f"stopped in repetition {number + 1}: its figures are left out")
            return rounds[:whole]
    return rounds


@contextmanager
def workplace(*, keep: bool) -> Iterator[Path]:
    """The benchmark's folder; the copies are gone afterwards."""
    folder = fleet.folder()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield folder
    finally:
        if not keep:
            fleet.remove(state.log("benchmark-remove"))
            say("copies removed")


def main() -> int:
    """Exit code: 0 figures printed, 1 no comparison possible."""
    asked = arguments()
    if asked.remove:
        fleet.remove(state.log("benchmark-remove"))
        return 0
    machine = report.machine()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that `timeout` stops it as Ctrl-C does
    with workplace(keep=asked.keep) as folder:
        scenarios = prepare(asked, folder)
        checked = (
            []
            if asked.no_equality
            else equality.check(scenarios[1], facets(json.loads((folder / "desired.json").read_text())), folder, say)
        )
        counted, starts = count(scenarios, folder)
        timed = repeat(scenarios, folder, asked.repetitions)
    table = report.rows(counted, timed)
    found = report.goals(table, starts)
    from benchmarks.converge.show import show  # late: its memory would count as every tool's

    show(machine, table, found, checked)
    if asked.json:
        content = {
            "machine": machine,
            "own_peak_mb": measure.own_peak(),
            "facets": checked,
            "powershell_starts": starts,
        }
        content |= {"rows": [asdict(row) for row in table], "goals": found}
        content |= {"counted": [one.as_json() for one in counted], "timed": [one.as_json() for one in timed]}
        asked.json.write_text(json.dumps(content, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    os.chdir(tools.ROOT)
    try:
        sys.exit(main())
    except LabError as problem:
        sys.exit(f"benchmark: {problem}")
