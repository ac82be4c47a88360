"""`bin/lab` as a person types it: again, with a plain PowerShell 7, without any, and down."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator

import pytest

from tests.lab import pcs, state
from tests.lab.commands import LABEL
from tests.lab.powershell import MISSING
from tests.lab.rollout import answers, rollout
from tests.lab.state import Pc

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("converged")]

FOREIGN = "not-of-the-lab"


def bin_lab(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """One call, without a terminal."""
    return subprocess.run(
        [state.ROOT / "bin/lab", *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, env=os.environ | environment, timeout=1200, check=False,
    )  # fmt: skip


def docker(*arguments: str) -> list[str]:
    """Words that a docker command of this machine prints."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout.split()


@pytest.fixture(scope="module")
def engine(lab: dict[str, object]) -> Iterator[str]:
    """The engine that the lab serves with; the lab is as it was after these tests."""
    word = str(lab["engine"])
    yield word
    done = bin_lab("up", "--engine", word)
    assert done.returncode == 0, done.stdout + done.stderr
    assert state.read_lab() == lab


def test_run_again_it_answers_and_changes_nothing(engine: str, pcs: list[Pc]) -> None:
    before = docker("ps", "--quiet", "--filter", f"label={LABEL}")
    done = bin_lab("up", "--engine", engine)
    assert done.returncode == 0, done.stdout
    for pc in pcs:
        assert f"{pc.name}" in done.stdout
    assert done.stdout.count("Paris") == len(pcs)
    assert "\x1b[" not in done.stdout
    assert docker("ps", "--quiet", "--filter", f"label={LABEL}") == before
    total = next(line for line in done.stdout.splitlines() if "Grand total" in line).split("Grand total")[1].split()
    assert total[1:3] == ["-", "-"], total  # neither success (a change) nor error


def test_a_plain_powershell_7_carries_the_lab(engine: str, windows: Pc) -> None:
    """The double gives what 5.1 would: code page, CLIXML on stderr."""
    done = bin_lab("up", "--engine", engine, CITADELLE_LAB_POWERSHELL="pwsh")
    assert done.returncode == 0, done.stdout
    assert state.read_lab()["powershell"] == "pwsh"
    knobs = json.loads(pcs_read(windows, "/var/lib/windows-double/knobs.json"))
    assert knobs["personality"] == "plain"
    assert rollout().changed_nothing
    assert "Paris" in answers(windows.name)


def pcs_read(pc: Pc, path: str) -> str:
    return pcs.exec_in_pc(pc.name, ["cat", path]).stdout.decode()


def test_down_removes_what_is_the_labs_and_up_brings_it_back_without_a_powershell(engine: str) -> None:
    docker("network", "create", FOREIGN)
    docker("volume", "create", FOREIGN)
    try:
        done = bin_lab("down")
        assert done.returncode == 0, done.stdout
        for kind in ("network", "volume"):
            assert docker(kind, "ls", "--quiet", "--filter", f"label={LABEL}") == []
            assert FOREIGN in docker(kind, "ls", "--format", "{{.Name}}")
        assert docker("ps", "--all", "--quiet", "--filter", f"label={LABEL}") == []
        status = bin_lab("status")
        assert (status.returncode, "lab: no PC\nhint: bin/lab" in status.stdout) == (1, True)
    finally:
        docker("network", "rm", FOREIGN)
        docker("volume", "rm", FOREIGN)
    up = bin_lab("up", "--engine", engine, CITADELLE_LAB_POWERSHELL="none")
    assert up.returncode == 0, up.stdout
    lines = [line for line in up.stdout.splitlines() if line.startswith("lab: ")]
    assert MISSING in lines[0]
    assert MISSING in lines[-1]
    assert [pc["name"] for pc in state.read_lab()["pcs"]] == ["srv1"]
    assert rollout().hosts("no_change") == {"@linux/srv1"}
