"""Facts of Linux: command and answer as cases; the answers were taken from a real host."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyinfra.api.exceptions import FactProcessError
from pyinfra_testing.facts import make_fact_tests

from citadelle.facts import accounts, docker, files, stack
from citadelle.facts.base import Fact

FOLDER = Path(__file__).parent
FOLDERS = sorted(folder for folder in FOLDER.glob("*.*") if folder.is_dir())

for _folder in FOLDERS:
    globals()[f"Test{_folder.name.replace('.', '')}"] = make_fact_tests("citadelle.facts", _folder.name, _folder)


def facts() -> list[type[Fact]]:
    modules = (accounts, docker, files, stack)
    return [
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Fact) and value.__module__ == module.__name__
    ]


@pytest.mark.parametrize("fact", facts(), ids=lambda fact: fact.__name__)
def test_every_fact_has_a_case_that_finds_and_one_that_does_not(fact: type[Fact]) -> None:
    folder = FOLDER / f"{fact.__module__.rsplit('.', 1)[1]}.{fact.__name__}"
    assert {"present", "absent"} <= {file.stem for file in folder.glob("*.yaml")}


@pytest.mark.parametrize("fact", [accounts.Accounts, accounts.UidOwners, docker.PackagesInstalled, files.FileStates])
@pytest.mark.parametrize("answer", ["sh: 1: not found", "\ufffd\ufffd", "{}"])
def test_an_unexpected_answer_fails_that_host_alone(fact: type[Fact], answer: str) -> None:
    """pyinfra contains a FactProcessError; any other exception would end the run for all hosts."""
    with pytest.raises(FactProcessError, match=f"fact {fact.__name__} has an unexpected answer"):
        fact().process([answer])
