"""What is judged without running it: the same `bin/check` as the commit hooks call, so that a run of the tests means both."""

import subprocess

import pytest

from tests.conftest import ROOT

USAGE = "bin/check [format|lint|types|shell|docs]"
WORDS = USAGE[USAGE.index("[") + 1 : -1].split("|")


def check(word: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bin/check", word], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("word", WORDS)
def test_the_checks_find_nothing(word: str) -> None:
    done = check(word)

    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == f"check: {word}: ok"


def test_an_unknown_check_is_refused_with_the_list_of_all() -> None:
    done = check("tests")

    assert (done.returncode, done.stderr) == (1, f"check: unknown check: tests\nhint: {USAGE}\n")
