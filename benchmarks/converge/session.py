"""Scenarios, and one run of a tool over one: what it said, what it cost, what crossed the wire."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.converge import fleet, measure
from benchmarks.converge.tools import ROOT, Said, Tool
from benchmarks.converge.wire import Wire
from tests.lab.pcs import NETWORK

TRIES = 3


@dataclass(frozen=True)
class Scenario:
    """A set of hosts, and the tools that can converge all of them."""

    name: str
    hosts: fleet.Hosts
    tools: tuple[Tool, ...]

    @property
    def containers(self) -> list[str]:
        return fleet.containers(list(self.hosts))


@dataclass
class Round:
    """One run. `counters`: what our connectors count themselves; `turns`: round trips on the wire by address, in counted runs only."""

    scenario: str
    tool: str
    run: measure.Run
    said: Said
    counters: dict[str, int] = field(default_factory=dict)
    turns: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Without what the tool printed."""
        content = asdict(self)
        del content["run"]["out"], content["run"]["err"]
        return content


def converge(scenario: Scenario, tool: Tool, folder: Path, *, count: bool = False) -> Round:
    """Run `tool` over all hosts of the scenario. Ends the program when it fails on one of them."""
    counters = folder / "counters.json"
    counters.unlink(missing_ok=True)
    with tool.command(scenario.hosts, folder) as (argv, more), _wire(count) as wire:
        env = {**os.environ, **more, "CITADELLE_COUNTERS": str(counters)}
        run = measure.run(argv, env, ROOT, folder, scenario.containers)
    said = tool.said(run)
    _check(scenario, tool, run, said)
    counted = json.loads(counters.read_text()) if counters.is_file() else {}
    return Round(scenario.name, tool.name, run, said, counted, dict(wire.turns) if wire else {})


def nothing_to_do(
    scenario: Scenario, tool: Tool, folder: Path, say: Callable[[str], None], *, count: bool = False
) -> Round:
    """A run that changed nothing: only such a run is a figure. One that had to change something (a service that an overloaded
    machine made unhealthy) is said and done again; ends the program after three.
    """
    for _ in range(TRIES):
        found = converge(scenario, tool, folder, count=count)
        if not found.said.what:
            return found
        say(f"{tool.name} on {scenario.name}: left out, since it changed {'; '.join(found.said.what)}")
    raise SystemExit(f"{tool.name}: changes something in every run, so there is no figure: {scenario.name}")


@contextmanager
def _wire(count: bool) -> Iterator[Wire | None]:
    if not count:
        yield None
        return
    with Wire(NETWORK) as wire:
        yield wire
    if wire.lost:
        raise SystemExit(f"round trips cannot be counted: {wire.lost} packets were not seen; run again")


def _check(scenario: Scenario, tool: Tool, run: measure.Run, said: Said) -> None:
    failed = [host for host, number in said.failed.items() if number]
    problems = [f"failed on {', '.join(failed)}"] if failed else []
    problems += [f"exit code {run.code}"] if run.code else []
    if len(said.checks) != len(scenario.hosts):
        problems += [f"ran on {len(said.checks)} of {len(scenario.hosts)} hosts"]
    if problems:
        raise SystemExit(f"{tool.name}: {'; '.join(problems)}\n{run.err[-3000:] or run.out[-3000:]}")
