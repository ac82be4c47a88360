"""Inventory data becomes settings of a role, or one message with everything that is wrong."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError
from pyinfra.connectors.fake import FakeConnector
from pyinfra.connectors.ssh import SSHConnector

from citadelle.connectors.wsl import WSLConnector
from citadelle.settings import DeployError, RoleSettings, describe, known_keys, refuse_bad_data
from docs.generate import role_settings
from roles.model_files.settings import ModelFilesSettings
from roles.stack.settings import StackSettings
from roles.wsl.settings import WslSettings
from tests.conftest import ROOT


def host(connector: type = SSHConnector, **data: Any) -> Any:
    """A host as far as settings look at it: its name, its data, its connector."""
    return SimpleNamespace(name="@linux/srv1", data=SimpleNamespace(dict=lambda: data), connector_cls=connector)


def test_defaults_without_any_key() -> None:
    settings = StackSettings.from_host(host())
    assert (settings.stack_port, settings.stack_engine, str(settings.stack_bind)) == (8080, "ollama", "127.0.0.1")


def test_given_values_are_typed() -> None:
    settings = StackSettings.from_host(host(stack_port="9000", stack_bind="192.0.2.1", ssh_hostname="x"))
    assert settings.stack_port == 9000
    assert settings.stack_bind.is_global is False


def test_none_means_not_given() -> None:
    assert StackSettings.from_host(host(stack_port=None)).stack_port == 8080


def test_settings_are_frozen() -> None:
    settings = StackSettings.from_host(host())
    with pytest.raises(ValidationError, match="frozen"):
        settings.stack_port = 9000


def test_bad_value_names_host_key_rule_value_and_default() -> None:
    with pytest.raises(DeployError) as caught:
        StackSettings.from_host(host(stack_port=80))
    assert str(caught.value) == (
        "@linux/srv1: setting stack_port: Input should be greater than or equal to 1024: 80\n"
        "hint: default is 8080; TCP port of the gateway."
    )


def test_all_bad_values_of_a_role_are_told_together() -> None:
    with pytest.raises(DeployError) as caught:
        StackSettings.from_host(host(stack_port=80, stack_engine="vllm", stack_engine_memory="lots", stack_bind="here"))
    lines = str(caught.value).splitlines()
    told = [line.split(": ")[1] for line in lines if line.startswith("@linux/srv1: ")]
    keys = {"stack_port", "stack_engine", "stack_engine_memory", "stack_bind"}
    assert {key for key in keys if f"setting {key}" in told or any(key in one for one in told)} == keys
    assert sum(line.startswith("hint: default is ") for line in lines) == len(told)


def test_a_rule_of_a_role_speaks_in_its_own_words() -> None:
    with pytest.raises(DeployError, match=r"@linux/srv1: setting models: .*'\.\./evil'"):
        ModelFilesSettings.from_host(host(models=("../evil",)))


def test_a_required_key_is_asked_for() -> None:
    class Required(RoleSettings):
        """A role with a key that has no default."""

        required_key: int

    Required.model_fields["required_key"].description = "How many."
    with pytest.raises(DeployError, match=r"hint: set required_key in the inventory: How many\."):
        Required.from_host(host())


def test_unknown_key_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(DeployError) as caught:
        refuse_bad_data(host(stack_prot=9000, ssh_hostnam="x", nonsense_without_neighbour=1))
    assert str(caught.value).splitlines() == [
        *(
            "@linux/srv1: unknown inventory key: nonsense_without_neighbour",
            "hint: all keys are listed in docs/settings.md",
        ),
        *("@linux/srv1: unknown inventory key: ssh_hostnam", "hint: did you mean ssh_hostname?"),
        *("@linux/srv1: unknown inventory key: stack_prot", "hint: did you mean stack_port?"),
    ]


def test_all_that_is_wrong_with_a_host_is_told_together() -> None:
    with pytest.raises(DeployError) as caught:
        refuse_bad_data(host(stack_prot=9000, stack_engine="vllm", docker_source="snap"))
    lines = str(caught.value).splitlines()
    assert sorted(line.split(": ")[1] for line in lines[::2]) == [
        "setting docker_source",
        "setting stack_engine",
        "unknown inventory key",
    ]
    assert all(line.startswith("hint: ") for line in lines[1::2])


def test_keys_of_roles_connectors_and_pyinfra_pass() -> None:
    refuse_bad_data(host(stack_port=9000, wsl_distro="x", ssh_user="y", _sudo=True, docker_source="docker"))


def test_keys_of_the_hosts_own_connector_pass() -> None:
    refuse_bad_data(host(FakeConnector, fake_delay=0))
    with pytest.raises(DeployError, match="unknown inventory key: fake_delay"):
        refuse_bad_data(host(fake_delay=0))


def test_every_role_has_settings_and_every_key_belongs_to_one_role() -> None:
    folders = {path.parent.name for path in (ROOT / "roles").glob("*/deploy.py")}
    of_another = {"platform"}  # judges by the table of `hardening`
    by_another = {"logs"}  # placed by `observability`, in one operation
    assert {cls.__module__.split(".")[1] for cls in role_settings()} == folders - of_another | by_another
    keys = [key for cls in role_settings() for key in cls.model_fields]
    assert len(keys) == len(set(keys))
    assert set(keys) <= known_keys()


@pytest.mark.parametrize("cls", role_settings(), ids=lambda cls: cls.__name__)
def test_every_key_is_described_and_has_a_valid_default(cls: type[RoleSettings]) -> None:
    rows = describe(cls)
    assert [row[0] for row in rows] == list(cls.model_fields)
    assert all(description.endswith(".") for *_, description in rows)
    cls(**cls().model_dump())


def test_defaults_show_as_an_operator_writes_them() -> None:
    shown = {key: (type_, default) for key, type_, default, _ in describe(StackSettings)}
    assert shown["stack_bind"] == ("IPv4Address | IPv6Address", "'127.0.0.1'")
    assert shown["stack_images_archive"] == ("Path | None", "None")
    assert shown["stack_engine"] == ("'ollama' or 'llamacpp'", "'ollama'")


def test_a_path_may_start_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert StackSettings(stack_images_archive="~/images.tar").stack_images_archive == Path("/home/ada/images.tar")
    assert ModelFilesSettings().models_store == Path("/home/ada/.ollama/models")
    assert StackSettings().stack_images_archive is None


def test_both_sides_of_a_pc_mean_the_same_distribution() -> None:
    assert WslSettings().wsl_distro == WSLConnector.data_meta["wsl_distro"].default
    for name in ("--uninstall", "a b", ""):
        with pytest.raises(DeployError, match="setting wsl_distro: "):
            WslSettings.from_host(host(wsl_distro=name))


def test_defaults_live_in_settings_alone() -> None:
    """No role or operation reads host data by itself, so no second default can hide there."""
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for folder in ("roles", "citadelle/operations", "citadelle/facts")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line in _reads_of_host_data(ast.parse(path.read_text()))
    ]
    assert found == []


def test_the_search_for_host_data_finds_it() -> None:
    assert list(_reads_of_host_data(ast.parse("x = 1\ny = host.data.get('stack_port', 8080)"))) == [2]


def _reads_of_host_data(tree: ast.AST) -> Iterator[int]:
    return (
        node.lineno for node in ast.walk(tree) if isinstance(node, ast.Attribute) and ast.unparse(node) == "host.data"
    )
