"""`bin/lab` as a person types it: again, with a plain PowerShell 7, without any, and down."""

from __future__ import annotations

import json
import os
import shutil
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


OTHER = {"CITADELLE_LAB_NUMBER": "9", "CITADELLE_LAB_POWERSHELL": "none"}
LABEL_OF_OTHER = f"label=org.citadelle.lab={OTHER['CITADELLE_LAB_NUMBER']}"


@pytest.fixture
def other(lab: dict[str, object]) -> Iterator[dict[str, str]]:
    """Variables of a second lab on this machine, without a PowerShell; what is costly to make it has from the first."""
    folder = state.STATE.resolve() / "other"
    folder.mkdir()
    for name in ("bundle", "models", "models.stamp", "wheels", "build"):
        subprocess.run(["cp", "-a", state.STATE.resolve() / name, folder], check=True)
    variables = OTHER | {"CITADELLE_LAB": str(folder)}
    yield variables
    bin_lab("down", **variables)
    shutil.rmtree(folder)


def test_without_a_powershell_srv1_comes_alone_and_down_removes_exactly_its_lab(
    engine: str, other: dict[str, str]
) -> None:
    first = docker("ps", "--quiet", "--filter", f"label={LABEL}")
    up = bin_lab("up", "--engine", engine, **other)
    assert up.returncode == 0, up.stdout
    lines = [line for line in up.stdout.splitlines() if line.startswith("lab: ")]
    assert MISSING in lines[0]
    assert MISSING in lines[-1]
    assert up.stdout.count("Paris") == 1
    status = bin_lab("status", **other)
    assert (status.returncode, "srv1" in status.stdout, "pc1" in status.stdout) == (0, True, False), status.stdout

    docker("network", "create", FOREIGN)
    docker("volume", "create", FOREIGN)
    try:
        assert docker("ps", "--all", "--quiet", "--filter", LABEL_OF_OTHER)
        done = bin_lab("down", **other)
        assert done.returncode == 0, done.stdout
        for kind in ("network", "volume"):
            assert docker(kind, "ls", "--quiet", "--filter", LABEL_OF_OTHER) == []
            assert FOREIGN in docker(kind, "ls", "--format", "{{.Name}}")
        assert docker("ps", "--all", "--quiet", "--filter", LABEL_OF_OTHER) == []
        status = bin_lab("status", **other)
        assert (status.returncode, "lab: no PC\nhint: bin/lab" in status.stdout) == (1, True)
    finally:
        docker("network", "rm", FOREIGN)
        docker("volume", "rm", FOREIGN)
    assert docker("ps", "--quiet", "--filter", f"label={LABEL}") == first
