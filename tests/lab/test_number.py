"""Labs side by side on one machine: each number has names, a label and a network of its own."""

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

SHOW = "from tests.lab import commands as c, state; print(c.LABEL, c.PREFIX, c.SUBNET, state.PC1.container, state.PC1.address)"


def show(number: str) -> subprocess.CompletedProcess[str]:
    variables = os.environ | {"CITADELLE_LAB_NUMBER": number}
    return subprocess.run(
        [sys.executable, "-c", SHOW], cwd=ROOT, env=variables, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("number", "said"),
    [
        ("1", "org.citadelle.lab=1 citadelle-lab 10.213.0.0/24 citadelle-lab-pc1 10.213.0.11"),
        ("2", "org.citadelle.lab=2 citadelle-lab-2 10.213.1.0/24 citadelle-lab-2-pc1 10.213.1.11"),
        ("9", "org.citadelle.lab=9 citadelle-lab-9 10.213.8.0/24 citadelle-lab-9-pc1 10.213.8.11"),
    ],
)
def test_each_number_has_its_own_names_and_network(number: str, said: str) -> None:
    assert show(number).stdout.strip() == said


@pytest.mark.parametrize("number", ["0", "10", "x", "-1", "²"])
def test_another_number_is_refused_with_its_cure(number: str) -> None:
    done = show(number)

    assert (done.returncode, done.stderr) == (
        1,
        f"lab: not a number of a lab: CITADELLE_LAB_NUMBER={number}\nhint: 1 to 9\n",
    )
