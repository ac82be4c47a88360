"""What happens when pyinfra's inner names, which config.py replaces, have moved."""

from __future__ import annotations

import pyinfra.api.facts as facts
import pyinfra_cli.inventory as cli
import pytest

from citadelle.facts.base import contain_stock_facts
from citadelle.inventory import allow_directories
from tests.inventory.conftest import Checkout


@pytest.mark.parametrize("name", ["_get_groups_from_filename", "make_inventory_from_files"])
def test_a_moved_name_is_one_clear_message(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delattr(cli, name)
    with pytest.raises(SystemExit, match=f"cannot be taught folders: .*{name}.*\nhint: pip install"):
        allow_directories()


def test_a_moved_name_of_the_facts_is_one_clear_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(facts, "_get_fact")
    with pytest.raises(SystemExit, match=r"does not let its facts be contained: .*_get_fact.*\nhint: pip install"):
        contain_stock_facts()


def test_the_version_floor_is_checked(checkout: Checkout) -> None:
    config = (checkout.path / "config.py").read_text()
    checkout.write("config.py", config.replace(">=3.10,<4", ">=99"))
    checkout.write("inventory/mine.py", 'here = ["@local"]\n')
    done = checkout.pyinfra("inventory", "debug-inventory")
    assert done.returncode != 0
    assert ">=99" in done.stdout
