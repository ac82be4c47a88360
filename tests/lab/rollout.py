"""One `pyinfra inventory deploy.py` as a user types it, and what it said, as data: for the tests of the lab."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab import state

SECONDS = 600  # a run that takes longer hangs


@dataclass(frozen=True)
class Run:
    """Exit code and both streams; `report` is pyinfra's own JSON (empty where it printed none)."""

    code: int
    text: str
    report: dict[str, Any]

    @property
    def results(self) -> dict[str, Any]:
        """What was done; empty for a dry run."""
        return self.report.get("results") or {}

    @property
    def planned(self) -> list[str]:
        """Names of the operations that some host would change."""
        return [
            step["name"]
            for step in self.report["plan"]
            if step["hosts_with_change"] + step["hosts_with_conditional_change"]
        ]

    def hosts(self, outcome: str) -> set[str]:
        """Hosts with at least one operation that ended as `success` (a change), `error` or `no_change`."""
        return {host for operation in self.results.get("operations", []) for host in operation[outcome]}

    def operations(self, outcome: str, host: str) -> list[str]:
        """Names of the operations that ended so on a host."""
        return [found["name"] for found in self.results.get("operations", []) if host in found[outcome]]

    @property
    def totals(self) -> dict[str, int]:
        return self.results.get("totals", {})

    @property
    def changed_nothing(self) -> bool:
        """Every operation of every host ran and found nothing to do."""
        totals = self.totals
        return self.code == 0 and totals["hosts"] == totals["no_change"] > 0 == totals["success"] + totals["error"]


def command(*arguments: str, inventory: str = "inventory") -> list[str]:
    """The command line of a run that answers in JSON."""
    return [str(Path(sys.executable).with_name("pyinfra")), "-y", "--json", *arguments, inventory, "deploy.py"]


def environment() -> dict[str, str]:
    """As a user's shell would have it: nothing of the test runner."""
    return {**os.environ, "NO_COLOR": "1", "CITADELLE_LAB": str(state.STATE.resolve())}


def rollout(*arguments: str, inventory: str = "inventory", checkout: Path = state.ROOT) -> Run:
    """Run it to its end. `checkout`: the folder whose deploy.py is meant."""
    done = subprocess.run(
        command(*arguments, inventory=inventory),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=checkout,
        env=environment(),
        timeout=SECONDS,
        check=False,
    )
    report = json.loads(done.stdout) if done.stdout.startswith("{") else {}
    return Run(done.returncode, plain(done.stderr + done.stdout), report)


def plain(text: str) -> str:
    """Without the terminal's colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def citadelle(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`citadelle ...` of this checkout."""
    return subprocess.run(
        [sys.executable, "-m", "citadelle.cli", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=state.ROOT,
        env=environment() | {"PYTHONPATH": str(state.ROOT)},
        timeout=SECONDS,
        check=False,
    )


def answers(pc: str) -> str:
    """What a PC's gateway answers to the lab's question; raises AssertionError with what went wrong."""
    done = citadelle("ask", "--json", "--host", pc, "What is the capital of France?")
    assert done.returncode == 0, done.stdout + done.stderr
    found: Sequence[dict[str, Any]] = json.loads(done.stdout)
    assert [answer["host"] for answer in found] == [pc]
    return str(found[0]["answer"])
