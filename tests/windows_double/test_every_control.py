"""Every control that the role sets, on the double: right, deviating, put right, refused. One walk over all of them, in few scripts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from citadelle.hardening.table import Control
from citadelle.operations.hardening import changes, script
from tests.hardening.right import DEFENDER, is_right
from tests.hardening.states import TABLE, verdicts
from tests.lab.powershell import Engine
from tests.windows_double.conftest import Double, replace_program
from tests.windows_double.test_hardening import LOOK, look, run, state_of, windows  # noqa: F401  (a fixture)

pytestmark = pytest.mark.lab

SET = {one.id: one for one in TABLE.controls if one.apply is not None and not one.is_line}
ROOTS = {"HKLM:": "HKEY_LOCAL_MACHINE", "HKCU:": "HKEY_CURRENT_USER"}
# Stand-ins for a PC on which somebody guards the registry, and drops what is asked of Defender.
GUARDED = """function New-ItemProperty { throw 'guarded' }
function Set-MpPreference { param($Any) }
function Add-MpPreference { param($Any) }
"""


class Kept:
    """The double's own files, read and written past all code of the product and of the double."""

    def __init__(self, double: Double) -> None:
        self._double = double
        self.state, self.registry = (self._load(name) for name in ("state.json", "registry.json"))
        self._keys = {key.lower(): key for key in self.registry}

    def _load(self, name: str) -> Any:
        return json.loads((self._double.home / name).read_text("utf-8-sig"))

    def save(self) -> None:
        for name, content in (("state.json", self.state), ("registry.json", self.registry)):
            (self._double.home / name).write_text(json.dumps(content))

    def _values(self, target: str) -> tuple[dict[str, Any], str]:
        key, name = target.split("!")
        long = key.replace(key[:5], ROOTS[key[:5]])
        return self.registry.setdefault(self._keys.get(long.lower(), long), {}), name

    def get(self, control: Control) -> Any:
        """What stands there, as the table would write it."""
        kind, target = control.judge.switch or ("", "")
        if kind == "registry":
            values, name = self._values(target)
            found = next((value for known, value in values.items() if known.lower() == name.lower()), None)
            return found["value"] if isinstance(found, dict) else found
        if kind == "service":
            service = self.state["services"][target]
            return service["StartType"] if service["Status"] == "Stopped" else "runs"
        if kind == "audit":
            return self.state["audit"][target]
        if kind == "account":
            return int(self.state["security"]["System Access"][target])
        preferences = self.state.get("defender_preferences", {})
        if kind == "rule":
            ids = preferences.get("AttackSurfaceReductionRules_Ids") or []
            return preferences["AttackSurfaceReductionRules_Actions"][ids.index(target)] if target in ids else 0
        section, name = DEFENDER[target]
        return self.state[section].get(name)

    def spoil(self, control: Control) -> None:
        """Let it be wrong."""
        kind, target = control.judge.switch or ("", "")
        if kind == "registry":
            values, name = self._values(target)
            for known in [known for known in values if known.lower() == name.lower()]:
                del values[known]
            values[name] = next(value for value in (0, 1, 2, 99999, "x") if not is_right(control, value))
        elif kind == "service":
            pattern = self.state["services"]["Spooler"]
            self.state["services"][target] = {**pattern, "Name": target, "StartType": "Automatic", "Status": "Running"}
        elif kind == "audit":
            self.state["audit"][target] = 0
        elif kind == "account":
            wrong = next(value for value in (0, 1, 99999) if not is_right(control, value))
            self.state["security"]["System Access"][target] = str(wrong)
        elif kind == "rule":
            self.state["defender_preferences"] = self.state.get("defender_preferences", {}) | {
                "AttackSurfaceReductionRules_Ids": [], "AttackSurfaceReductionRules_Actions": []
            }  # fmt: skip
        else:
            section, name = DEFENDER[target]
            self.state.setdefault(section, {})[name] = False if target.startswith("Disable") else 0


def spoilt(double: Double, controls: list[Control]) -> None:
    """A PC on which every one of these is wrong, and tamper protection is off."""
    kept = Kept(double)
    kept.state["defender"]["IsTamperProtected"] = False
    for control in controls:
        kept.spoil(control)
    kept.save()


@pytest.mark.parametrize("language", ["en", "fr"])
def test_every_control_is_one_change_and_then_none(windows: Double, engine: Engine, language: str) -> None:  # noqa: F811
    windows.control("language", language)
    found = verdicts(look(windows), *SET)
    walked = [one for name, one in SET.items() if found[name].status in ("pass", "fail")]
    assert len(walked) > 140, "all but a few that make no sense on this PC"
    spoilt(windows, walked)
    before = look(windows)
    planned = changes(list(verdicts(before).values()), before)
    assert [change.control for change in planned] == [one.id for one in walked]
    applied, after = run(windows, script(planned, "pc1"), LOOK)
    assert (applied["code"], applied["error"], applied["out"]) == (0, None, [])
    kept = Kept(windows)
    assert {one.id: kept.get(one) for one in walked if kept.get(one) != one.apply} == {}
    right = state_of(after)
    assert {verdicts(right)[one.id].status for one in walked} == {"pass"}
    assert changes(list(verdicts(right).values()), right) == []


def test_every_control_that_a_pc_refuses_is_named(windows: Double) -> None:  # noqa: F811
    found = verdicts(look(windows), *SET)
    walked = [one for name, one in SET.items() if found[name].status in ("pass", "fail")]
    spoilt(windows, walked)
    kept = Kept(windows)
    for service in kept.state["services"].values():
        service["Protected"] = True
    kept.save()
    replace_program(windows, "auditpol.exe", "*", code=0)
    replace_program(windows, "secedit.exe", "*/configure*", code=0)
    before = look(windows)
    planned = changes(list(verdicts(before).values()), before)
    (answer,) = run(windows, GUARDED + script(planned, "pc1"))
    assert (answer["code"], answer["error"]) == (1, None)
    told = sorted(line.split(" (")[0] for line in answer["out"][:-1])
    assert told == sorted(f"pc1: {one.control} is not kept: {one.target} = {one.value}" for one in planned)
    assert {one.control for one in planned} >= {one.id for one in walked if one.judge.kind in ("registry", "service")}
