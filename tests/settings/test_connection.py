"""Defaults of how a PC is reached."""

from __future__ import annotations

import pytest
from pyinfra.api import Config, Inventory, State


@pytest.mark.parametrize("name", ["@windows/pc1", "@wsl/pc1", "@linux/srv1"])
def test_a_host_without_connection_data_has_strict_host_keys_and_its_own_name(name: str) -> None:
    inventory = Inventory(([name], {}))
    host = inventory.get_host(name)
    host.init(State(inventory, Config()))
    data = host.connector.data
    assert data["ssh_strict_host_key_checking"] == "yes"
    assert data["ssh_hostname"] == name.partition("/")[2]
