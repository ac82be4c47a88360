"""The figures as Markdown tables: for a terminal and for the README."""

from __future__ import annotations

from typing import Any

from benchmarks.converge.report import Row

HEAD = (
    "PCs",
    "tool",
    "wall s",
    "times ours",
    "controller CPU s",
    "hosts CPU s",
    "other CPU s",
    "memory MB",
    "checks/host",
    "round trips/host",
)


def show(machine: dict[str, Any], table: list[Row], goals: list[tuple[str, str, bool]], facets: list[str]) -> None:
    """Print them."""
    print(", ".join(f"{name} {value}" for name, value in machine.items()), end="\n\n")
    print(_line(HEAD), _line(["---"] * len(HEAD)), *(_line(_cells(row)) for row in table), sep="\n")
    print(
        f"\nSame work: {len(facets)} facets noticed and repaired by each tool: {', '.join(facets)}."
        if facets
        else "\nSame work: not checked."
    )
    print("\n" + "\n".join(f"{'met   ' if met else 'MISSED'} {what}: {value}" for what, value, met in goals))


def _cells(row: Row) -> list[str]:
    spreads = [row.wall, row.ratio or "1", row.controller, row.hosts, row.other]
    return [row.scenario, row.tool, *map(str, spreads), f"{row.memory:.0f}", str(row.checks), str(row.turns)]


def _line(cells: Any) -> str:
    return f"| {' | '.join(cells)} |"
