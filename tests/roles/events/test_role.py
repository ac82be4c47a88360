"""The role as a user runs it: pyinfra over a genuine sshd against the Windows double; what it sets, and that nothing is left to do then."""

# ruff: noqa: F811  (fixtures come by import)

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.connectors.conftest import engine  # noqa: F401  (a fixture)
from tests.inventory.conftest import Checkout, checkout  # noqa: F401  (a fixture)
from tests.roles.wsl.test_role import USER, Pc, changed, pc, run  # noqa: F401  (fixtures)

pytestmark = pytest.mark.lab

DEPLOY = "from roles.events.deploy import events\n\nevents()\n"
READERS, TASK, STEP, TOTAL = (
    "S-1-5-32-573",
    "\\citadelle\\events",
    "Events | Hand events of Windows to the distribution",
    "Grand total",
)


@pytest.fixture
def go(pc: Pc, run: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    """A run of the role alone, on a PC whose distribution has an owner."""
    monkeypatch.setattr("tests.roles.wsl.test_role.DEPLOY", DEPLOY)
    pc.edit(
        lambda s: s["users"].append(
            s["users"][0] | {"Name": USER, "SID": "S-1-5-21-2356735557-1575748656-448136971-1100"}
        )
    )
    return lambda **data: run("-y", **{"events": True, **data})


def test_it_is_set_and_then_nothing_is_left_to_do(go: Callable[..., tuple[int, str]], pc: Pc) -> None:
    code, output = go()
    assert (code, changed(output)) == (0, [STEP, TOTAL]), output
    assert pc.members(READERS) == [pc.user()["SID"]]
    task = pc.load()["tasks"][TASK]
    assert (task["Principal"]["LogonType"], task["Principal"]["RunLevel"]) == ("S4U", "Limited")
    assert task["Triggers"][0]["Repetition"]["Interval"] == "PT2M"
    table = json.loads(pc.path("C:\\ProgramData\\citadelle\\events.json").read_text())
    assert table["arguments"].startswith("-d citadelle -u root --exec ")
    before = pc.starts("powershell.exe")
    code, output = go()
    assert (code, changed(output)) == (0, []), output
    assert pc.starts("powershell.exe") - before <= 3
    # Who may read, and whether it runs: set again.
    pc.edit(lambda s: next(group for group in s["groups"] if group["SID"] == READERS)["Members"].clear())
    pc.edit(lambda s: s["tasks"][TASK].update(Enabled=False))
    code, output = go()
    assert (code, changed(output)) == (0, [STEP, TOTAL]), output
    assert pc.members(READERS) == [pc.user()["SID"]]
    assert pc.load()["tasks"][TASK]["Enabled"]


def test_nothing_is_done_where_it_cannot_be_right(
    go: Callable[..., tuple[int, str]], pc: Pc, checkout: Checkout
) -> None:
    code, output = go(wsl_user="")
    assert code == 1
    assert "@windows/pc1: events need an owner of the distribution: wsl_user = ''\nhint: leave wsl_user out" in output
    checkout.write("wrong.yaml", "events: [{name: a, channel: System, keep: []}]\n")
    code, output = go(events_table="wrong.yaml")
    assert code == 1
    assert "@windows/pc1: table of events is not right: wrong.yaml: 0.keep: " in output
    assert TASK not in pc.load()["tasks"]
