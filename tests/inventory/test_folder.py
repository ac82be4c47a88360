"""`pyinfra inventory ...` with a folder: what the real command reads, merges and refuses."""

from __future__ import annotations

import pytest

from tests.conftest import ROOT
from tests.inventory.conftest import Checkout

LAB = 'linux = [("@linux/lab-pc", {"ssh_hostname": "192.0.2.1"})]\n'
MINE = 'linux = [("@linux/my-pc", {"ssh_hostname": "192.0.2.2"})]\n'
WINDOWS = 'windows = [("@windows/my-pc", {"ssh_hostname": "192.0.2.2"})]\n'
LONG = pytest.mark.lab  # each start of pyinfra takes a second: the fast tier has those that differ most


@pytest.mark.parametrize(
    "spelling", ["inventory", pytest.param("inventory/", marks=LONG), pytest.param("./inventory", marks=LONG)]
)
def test_a_folder_is_an_inventory_however_it_is_spelt(checkout: Checkout, spelling: str) -> None:
    checkout.write("inventory/lab.py", LAB)
    done = checkout.pyinfra(spelling, "debug-inventory")
    assert done.returncode == 0, done.stdout
    assert "[@linux/lab-pc]" in done.stdout
    assert '"ssh_hostname": "192.0.2.1"' in done.stdout
    assert {"linux", "lab", "inventory"} <= groups(done.stdout)


@LONG
def test_a_single_file_still_works(checkout: Checkout) -> None:
    checkout.write("inventory/lab.py", LAB)
    done = checkout.pyinfra("inventory/lab.py", "debug-inventory")
    assert done.returncode == 0, done.stdout
    assert "[@linux/lab-pc]" in done.stdout


def test_own_files_replace_the_lab_and_the_example(checkout: Checkout) -> None:
    checkout.write("inventory/lab.py", LAB)
    checkout.write("inventory/example.py", 'linux = ["@linux/example-pc"]\n')
    checkout.write("inventory/mine.py", MINE)
    done = checkout.pyinfra("inventory", "debug-inventory")
    assert hosts(done.stdout) == ["@linux/my-pc"]
    assert "lab" not in groups(done.stdout)
    assert "mine" in groups(done.stdout)


@LONG
def test_own_files_are_merged_group_by_group(checkout: Checkout) -> None:
    checkout.write("inventory/paris.py", MINE + WINDOWS)
    checkout.write("inventory/lyon.py", 'linux = ["@linux/lyon-pc"]\n')
    checkout.write("inventory/_notes.py", "raise SystemExit('a file with an underscore was read')\n")
    done = checkout.pyinfra("inventory", "debug-inventory")
    assert done.returncode == 0, done.stdout
    assert sorted(hosts(done.stdout)) == ["@linux/lyon-pc", "@linux/my-pc", "@windows/my-pc"]


@LONG
def test_group_data_inside_the_folder_applies_and_host_data_wins(checkout: Checkout) -> None:
    checkout.write("inventory/mine.py", 'linux = ["@linux/a", ("@linux/b", {"stack_port": 9001})]\n')
    checkout.write("inventory/group_data/linux.py", "stack_port = 9000\n")
    done = checkout.pyinfra("inventory", "debug-inventory")
    first, second = done.stdout.split("[@linux/b]")
    assert '"stack_port": 9000' in first
    assert '"stack_port": 9001' in second


@LONG
def test_group_data_beside_config_is_still_read_and_the_folder_wins(checkout: Checkout) -> None:
    checkout.write("inventory/mine.py", 'linux = ["@linux/a"]\n')
    checkout.write("group_data/linux.py", "stack_port = 8000\nstack_engine = 'llamacpp'\n")
    checkout.write("inventory/group_data/linux.py", "stack_port = 9000\n")
    done = checkout.pyinfra("inventory", "debug-inventory")
    assert '"stack_port": 9000' in done.stdout
    assert '"stack_engine": "llamacpp"' in done.stdout


def test_a_host_in_two_files_is_refused(checkout: Checkout) -> None:
    checkout.write("inventory/one.py", MINE)
    checkout.write("inventory/two.py", MINE)
    done = checkout.pyinfra("inventory", "debug-inventory")
    assert done.returncode != 0
    assert "@linux/my-pc: stands in two inventory files: inventory/one.py, inventory/two.py" in done.stdout
    assert "hint: remove it from one of them" in done.stdout


@LONG
def test_a_group_with_data_in_two_files_is_refused(checkout: Checkout) -> None:
    checkout.write("inventory/one.py", 'linux = (["@linux/a"], {"stack_port": 9000})\n')
    checkout.write("inventory/two.py", 'linux = ["@linux/b"]\n')
    done = checkout.pyinfra("inventory", "debug-inventory")
    assert done.returncode != 0
    assert "inventory/two.py: group with data is defined twice: linux" in done.stdout
    assert "hint: put the data into group_data/linux.py" in done.stdout


def test_an_empty_folder_says_what_to_do(checkout: Checkout) -> None:
    done = checkout.pyinfra("inventory", "debug-inventory")
    assert done.returncode != 0
    assert "inventory: no inventory file in it\nhint: cp inventory/example.py inventory/mine.py" in done.stdout


@LONG
def test_the_lab_file_without_a_lab_says_what_to_do(checkout: Checkout) -> None:
    checkout.write("inventory/lab.py", (ROOT / "inventory/lab.py").read_text())
    done = checkout.pyinfra("inventory", "debug-inventory", CITADELLE_LAB="/nonexistent")
    assert done.returncode != 0
    assert "inventory: no lab on this machine: /nonexistent/lab.json\nhint: run bin/lab" in done.stdout


@LONG
def test_the_example_can_be_copied_as_it_is(checkout: Checkout) -> None:
    checkout.write("inventory/mine.py", (ROOT / "inventory/example.py").read_text())
    done = checkout.pyinfra("inventory", "debug-inventory")
    assert hosts(done.stdout) == ["@linux/lyon-01", "@windows/paris-01", "@wsl/paris-01"]
    assert '"ssh_strict_host_key_checking": "yes"' in done.stdout


@LONG
def test_a_deploy_runs_from_a_folder(checkout: Checkout) -> None:
    checkout.write("inventory/mine.py", 'here = ["@local"]\n')
    checkout.write("deploy.py", "from pyinfra.operations import server\nserver.shell(name='Say', commands='true')\n")
    done = checkout.pyinfra("--dry", "inventory", "deploy.py")
    assert done.returncode == 0, done.stdout
    assert "[@local] Connected" in done.stdout


def hosts(shown: str) -> list[str]:
    """Names in the order shown, each once."""
    lines = (line for line in shown.splitlines() if line.startswith("[@"))
    return sorted({line[1 : line.index("]")] for line in lines})


def groups(shown: str) -> set[str]:
    """All groups of all hosts."""
    lines = (line for line in shown.splitlines() if line.startswith("--> Groups: "))
    return {name for line in lines for name in line.removeprefix("--> Groups: ").split(", ")}
