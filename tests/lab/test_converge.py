"""What a user does after `bin/lab`: nothing changes any more, and every PC answers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable

import pytest

from tests.lab.rollout import answers, citadelle, rollout
from tests.lab.state import Pc

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("converged")]


def test_a_second_run_changes_nothing(pcs: list[Pc]) -> None:
    run = rollout()
    assert run.changed_nothing, run.text
    names = {host.split("/")[1] for host in run.hosts("no_change")}
    assert names == {pc.name for pc in pcs}
    assert run.results["failed_hosts"] == []


def test_a_dry_run_has_nothing_to_do() -> None:
    run = rollout("--dry")
    assert run.code == 0, run.text
    assert len(run.report["plan"]) > 10
    assert (run.planned, run.results) == ([], {})


def test_every_pc_answers(pcs: list[Pc]) -> None:
    for pc in pcs:
        assert "Paris" in answers(pc.name)


def test_status_and_doctor_find_nothing_wrong(pcs: list[Pc]) -> None:
    status = citadelle("status", "--json")
    assert status.returncode == 0, status.stdout
    assert {row["host"]: row["state"] for row in json.loads(status.stdout)} == {pc.name: "ok" for pc in pcs}
    doctor = citadelle("doctor", "--json")
    assert doctor.returncode == 0, doctor.stdout
    assert {check["host"] for check in json.loads(doctor.stdout)} >= {pc.name for pc in pcs}


def test_a_host_gets_few_operations() -> None:
    run = rollout()
    counts = Counter(host for operation in run.results["operations"] for host in operation["no_change"])
    assert len(counts) == len(run.hosts("no_change")) > 0
    assert max(counts.values()) <= 15


def test_a_windows_host_costs_at_most_three_powershell_starts(control: Callable[..., str]) -> None:
    """Counted by the double, which notes every process that it starts."""
    control("journal", "clear")
    assert rollout().changed_nothing
    started = [json.loads(line)["program"] for line in control("journal").splitlines()]
    assert 1 <= started.count("powershell.exe") <= 3, Counter(started)
