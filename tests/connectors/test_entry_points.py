"""The connectors' names are registered twice: by pyproject.toml once installed, by the folder in the checkout without that."""

from __future__ import annotations

import tomllib
from email.parser import Parser
from importlib.metadata import EntryPoint, PathDistribution

import pytest

from citadelle.connectors.wsl import command_line
from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CHECKOUT = PathDistribution(ROOT / f"{PROJECT['name']}-{PROJECT['version']}.dist-info")


def test_the_checkout_registers_what_an_installation_does() -> None:
    registered = {entry.name: entry.value for entry in CHECKOUT.entry_points if entry.group == "pyinfra.connectors"}
    assert registered == PROJECT["entry-points"]["pyinfra.connectors"]
    assert {"windows", "wsl", "linux"} <= set(registered)
    assert {entry.group for entry in CHECKOUT.entry_points} == set(PROJECT["entry-points"])


def test_its_name_and_version_are_those_of_the_project() -> None:
    metadata = Parser().parsestr((ROOT / f"{PROJECT['name']}-{PROJECT['version']}.dist-info/METADATA").read_text())
    assert (metadata["Name"], metadata["Version"]) == (PROJECT["name"], PROJECT["version"])
    assert [folder.name for folder in ROOT.glob("*.dist-info")] == [
        f"{metadata['Name']}-{metadata['Version']}.dist-info"
    ]


@pytest.mark.parametrize("entry", CHECKOUT.entry_points, ids=lambda entry: entry.name)
def test_every_name_leads_to_a_connector_that_makes_hosts_of_its_own(entry: EntryPoint) -> None:
    connector = entry.load()
    assert connector.handles_execution
    ((name, data, groups),) = connector.make_names_data("pc1")
    assert (name, data, groups) == (f"@{entry.name}/pc1", {"ssh_hostname": "pc1"}, [entry.name])
    assert set(connector.data_cls.__annotations__) <= set(connector.data_meta)
    with pytest.raises(SystemExit, match=rf"@{entry.name}: a PC's name is missing\nhint: @{entry.name}/NAME"):
        next(connector.make_names_data(None))


def test_a_wsl_host_may_name_its_distribution() -> None:
    (entry,) = (entry for entry in CHECKOUT.entry_points if entry.name == "wsl")
    assert list(entry.load().make_names_data("pc1/Ubuntu")) == [
        ("@wsl/pc1/Ubuntu", {"ssh_hostname": "pc1", "wsl_distro": "Ubuntu"}, ["wsl"])
    ]


@pytest.mark.parametrize("name", ["", "-d", "a b", 'a" --exec x', "a&b", "x" * 65, "é"])
def test_a_name_of_a_distribution_cannot_be_more_than_a_name(name: str) -> None:
    with pytest.raises(ValueError, match="not a name of a WSL distribution"):
        command_line(name, "/bin/sh")
    assert command_line("Ubuntu-24.04", "/bin/sh") == (
        r'"C:\Program Files\WSL\wsl.exe" -d Ubuntu-24.04 -u root --cd ~ --exec /bin/sh'
    )
