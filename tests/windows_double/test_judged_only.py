"""Controls that are only judged, their own wrong values laid into the double where a look finds them: registry, services, user rights."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.hardening.states import verdicts
from tests.hardening.test_each_control import says
from tests.hardening.wrong_windows import WRONG, Wrong
from tests.windows_double.conftest import Double
from tests.windows_double.test_hardening import LOOK, change_state, state_of, windows  # noqa: F401  (a fixture)
from tests.windows_double.test_hardening_table import Pc, put

pytestmark = pytest.mark.lab

ROWS = [row for row in WRONG if " " in row.place]
MODES = {"Auto": "Automatic", "Manual": "Manual", "Disabled": "Disabled"}


def rounds() -> list[list[Wrong]]:
    """Each place once in a round, and one choice of the PC's start in it."""
    made: list[list[Wrong]] = []
    for row in ROWS:
        for one in made:
            if row.place not in {other.place for other in one} and row.unlock == one[0].unlock:
                one.append(row)
                break
        else:
            made.append([row])
    return made


def deviate(double: Double, rows: list[Wrong]) -> None:
    """Past the double's own code."""
    registry = json.loads((double.home / "registry.json").read_text("utf-8-sig"))
    services, security = double.state["services"], double.state["security"]
    for row in rows:
        kind, _, target = row.place.partition(" ")
        value: Any = row.value
        if kind == "registry":
            put(registry, target, value)
        elif kind == "right":
            security["Privilege Rights"][target] = ",".join(f"*{one}" for one in value)
        elif value[0] == "absent":
            services.pop(target, None)
        else:
            services[target] = services["Spooler"] | {"Name": target, "StartType": MODES[value[0]], "Status": value[1]}
    (double.home / "registry.json").write_text(json.dumps(registry))
    change_state(double, services=services, security=security)


def test_each_wrong_value_is_found_by_the_look_and_told_by_its_control(windows: Double) -> None:  # noqa: F811
    windows.control("language", "fr")
    pc = Pc(windows)
    first = {name: (windows.home / name).read_bytes() for name in ("state.json", "registry.json")}
    assert len(ROWS) >= 35
    for rows in rounds():
        for name, content in first.items():
            (windows.home / name).write_bytes(content)
        deviate(windows, rows)
        found = verdicts(state_of(pc.run(LOOK)).chosen(rows[0].unlock))
        told = {row.control: (found[row.control].status, says(found[row.control])) for row in rows}
        assert told == {row.control: (row.status, row.told) for row in rows}
    pc.close()
