"""Whether the three tools do the same work: each must notice every facet that is broken, and make it right.

A batch of facets is broken at a time, each on a copy of its own; the last copy stays right, and no tool may change it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks.converge.facets import Facet
from benchmarks.converge.session import Scenario, converge
from benchmarks.converge.tools import Tool
from tests.lab import pcs

Say = Callable[[str], None]


def check(scenario: Scenario, facets: list[Facet], folder: Path, say: Say) -> list[str]:
    """Break, converge, look, for every tool; returns the names of the facets. Ends the program at the first tool that is not equal."""
    names = list(scenario.hosts)
    spare, size = names[-1], len(names) - 1
    if not size:
        raise SystemExit("equality needs two copies at least: --copies 2")
    for tool in scenario.tools:
        for start in range(0, len(facets), size):
            broken = dict(zip(names, facets[start : start + size], strict=False))
            _one(scenario, tool, broken, folder)
        say(f"equality: {tool.name} noticed and repaired {len(facets)} of {len(facets)} facets, {spare} left alone")
    return [facet.name for facet in facets]


def _one(scenario: Scenario, tool: Tool, broken: dict[str, Facet], folder: Path) -> None:
    for pc, facet in broken.items():
        _disturb(pc, facet)
    said = converge(scenario, tool, folder).said
    problems = [f"{pc}: not noticed: {facet.name}" for pc, facet in broken.items() if not said.changed[pc]]
    problems += [f"{pc}: changed although right" for pc in scenario.hosts if pc not in broken and said.changed[pc]]
    problems += [f"{pc}: not repaired: {facet.name}" for pc, facet in broken.items() if not _holds(pc, facet)]
    if problems:
        raise SystemExit(f"{tool.name} does not do the same work:\n" + "\n".join(problems))


def _disturb(pc: str, facet: Facet) -> None:
    """Raises `SystemExit` where the facet does not hold before or still holds after: then nothing would be shown."""
    if not _holds(pc, facet):
        raise SystemExit(f"{pc}: not right before it was broken: {facet.name}")
    done = pcs.exec_in_pc(pc, ["sh", "-c", facet.disturb])
    if done.returncode or _holds(pc, facet):
        raise SystemExit(f"{pc}: cannot be broken: {facet.name}: {done.stderr.decode(errors='replace').strip()}")


def _holds(pc: str, facet: Facet) -> bool:
    return pcs.exec_in_pc(pc, ["sh", "-c", facet.probe]).returncode == 0
