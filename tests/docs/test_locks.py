"""The lock files: every package by hash, and what runs is what was tested."""

from __future__ import annotations

import re

import pytest

from tests.conftest import ROOT

FILES = ("requirements.txt", "requirements-dev.txt")


def pins(name: str) -> dict[str, str]:
    """Package -> version, with its marker."""
    return dict(re.findall(r"^([\w.\-\[\]]+)==(.*?) \\$", (ROOT / name).read_text(), re.MULTILINE))


@pytest.mark.parametrize("name", FILES)
def test_every_package_has_a_hash(name: str) -> None:
    text = (ROOT / name).read_text()
    entries = re.split(r"(?m)^(?=[A-Za-z])", text)
    assert len(pins(name)) > 20
    assert [entry for entry in entries if entry.strip() and "--hash=sha256:" not in entry] == []
    assert "index-url" not in text


def test_the_tests_run_with_the_very_versions_that_operators_get() -> None:
    run, dev = (pins(name) for name in FILES)
    assert {package: dev.get(package) for package in run} == run
