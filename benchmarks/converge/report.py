"""Figures of all rounds: medians, spread, ratios of runs that stood next to each other, and the goals."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.converge.session import Round

OURS = "citadelle"
GOALS = {"stock pyinfra": 2.0, "ansible": 10.0}  # times faster than these, over all copies
MOST_OPERATIONS, MOST_POWERSHELL, MOST_MEMORY = 15, 3, 150.0  # per host, per Windows PC, MB


@dataclass(frozen=True)
class Spread:
    """Median, lowest and highest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        found = sorted(values)
        return cls(round(median(found), 3), round(found[0], 3), round(found[-1], 3))

    def __str__(self) -> str:
        return f"{self.median:.1f} ({self.low:.1f}-{self.high:.1f})"


@dataclass(frozen=True)
class Row:
    """One tool over one scenario; `ratio` is its wall time as a multiple of ours in the same repetition."""

    scenario: str
    tool: str
    wall: Spread
    controller: Spread
    hosts: Spread
    other: Spread
    memory: float
    checks: int
    turns: int
    ratio: Spread | None


def rows(counted: list[Round], timed: list[Round]) -> list[Row]:
    """One per scenario and tool, in the order in which they ran. `turns` and `checks` are the most of any host."""
    return [_row(one, [run for run in timed if _key(run) == _key(one)], timed) for one in counted]


def _key(one: Round) -> tuple[str, str]:
    return one.scenario, one.tool


def _row(one: Round, runs: list[Round], timed: list[Round]) -> Row:
    ours = [run.run.wall for run in timed if _key(run) == (one.scenario, OURS)]
    ratio = None if one.tool == OURS else Spread.of(run.run.wall / wall for run, wall in zip(runs, ours, strict=True))
    spreads = [Spread.of(getattr(run.run, name) for run in runs) for name in ("wall", "controller", "hosts", "other")]
    memory = max(run.run.memory for run in runs)
    return Row(one.scenario, one.tool, *spreads, memory, max(one.said.checks.values()), max(one.turns.values()), ratio)


def goals(table: list[Row], powershell: dict[str, int]) -> list[tuple[str, str, bool]]:
    """What was asked for, what was found, whether that is enough. `powershell`: starts per Windows PC in one converge."""
    ours = [row for row in table if row.tool == OURS]
    most = max(row.checks for row in ours)
    memory = max(row.memory for row in ours)
    found = [("operations per host", f"{most}, at most {MOST_OPERATIONS}", most <= MOST_OPERATIONS)]
    found += [("peak memory of the controller", f"{memory:.0f} MB, under {MOST_MEMORY:.0f} MB", memory < MOST_MEMORY)]
    for pc, starts in powershell.items():
        found += [(f"PowerShell starts on {pc}", f"{starts}, at most {MOST_POWERSHELL}", starts <= MOST_POWERSHELL)]
    widest = (
        max((row for row in table if row.ratio), key=lambda row: row.wall.median).scenario
        if any(row.ratio for row in table)
        else ""
    )
    for row in table:
        if row.ratio and row.scenario == widest:
            wanted = GOALS[row.tool]
            text = f"{row.ratio} times faster, at least {wanted:.0f}"
            found += [(f"against {row.tool}, {row.scenario}", text, row.ratio.median >= wanted)]
    return found


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "memory_gib": round(memory, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
    }
