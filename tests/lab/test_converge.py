"""What a user does after `bin/lab`: nothing changes any more, and every PC answers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable

import pytest

from tests.lab.pcs import exec_in_pc
from tests.lab.rollout import Run, answers, citadelle, rollout
from tests.lab.state import PC1, Pc

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("converged")]


@pytest.fixture(scope="module")
def second(converged: None, pcs: list[Pc]) -> Run:
    """A run after the one that converged. From here on the Windows double notes anew what it starts."""
    if PC1 in pcs:
        exec_in_pc(PC1.name, ["runuser", "-u", "operator", "--", "/opt/windows-double/control", "journal", "clear"])
    return rollout()


def test_a_second_run_changes_nothing(second: Run, pcs: list[Pc]) -> None:
    assert second.changed_nothing, second.text
    names = {host.split("/")[1] for host in second.hosts("no_change")}
    assert names == {pc.name for pc in pcs}
    assert second.results["failed_hosts"] == []


def test_a_windows_host_costs_at_most_three_powershell_starts(second: Run, control: Callable[..., str]) -> None:
    """Counted by the double, which notes every process that it starts."""
    started = [json.loads(line)["program"] for line in control("journal").splitlines()]
    assert 1 <= started.count("powershell.exe") <= 3, Counter(started)


def test_a_host_gets_few_operations(second: Run) -> None:
    counts = Counter(host for operation in second.results["operations"] for host in operation["no_change"])
    assert len(counts) == len(second.hosts("no_change")) > 0
    assert max(counts.values()) <= 15


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
