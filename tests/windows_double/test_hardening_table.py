"""Every control that the role sets: right, wrong, refused, right again; read in the double's own store, past product and cmdlets."""

from __future__ import annotations

import base64
import csv
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from citadelle import powershell
from citadelle.facts.hardening import Hardening
from citadelle.hardening.state import State
from citadelle.hardening.table import Control
from citadelle.operations.hardening import Change, changes, script
from tests.hardening.right import is_right
from tests.hardening.states import TABLE, capture, one, verdicts
from tests.lab.powershell import Engine
from tests.windows_double.conftest import Double, replace_program

pytestmark = pytest.mark.lab

LOOK = Hardening().command(values=TABLE.registry_values)
# Defender's settings have a store of their own: test_every_control.py walks them.
APPLIED = [one for one in TABLE.controls if one.apply is not None and not one.is_line and one.judge.kind != "state"]
IDS = {control.id for control in APPLIED}
# Control n is wrong in round r where bit r of n is set: any two controls differ in some round, so none can pass for another.
ROUNDS = range(len(APPLIED).bit_length())
WRONG: dict[str, list[Any]] = {"registry": [None, "text", 77, 0, 1, 2], "account": [10, 2, 1, 0], "audit": [0]}


class Pc:
    """A double with one PowerShell open on it, and its store, read and written past its own code."""

    def __init__(self, double: Double) -> None:
        self.double = double
        self._process = double.start(powershell.START)
        self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        while not (found := powershell.ANSWER.search(line := self._process.stdout.readline())):
            assert line, self._process.stderr and self._process.stderr.read().decode()
        return dict(json.loads(base64.b64decode(found[1])))

    def run(self, text: str) -> dict[str, Any]:
        """The loop's answer to a script."""
        assert self._process.stdin is not None
        self._process.stdin.write(powershell.request(text))
        self._process.stdin.flush()
        return self._answer()

    def planned(self, before: str = "") -> list[Change]:
        """What the product would set."""
        answer = self.run(before + LOOK)
        assert (answer["code"], answer["error"]) == (0, None)
        state: State = Hardening().process(answer["out"])
        assert state.errors == {}
        return [change for change in changes(list(verdicts(state).values()), state) if change.control in IDS]

    def close(self) -> None:
        self._process.communicate(timeout=300)

    def read(self) -> dict[str, Any]:
        """What is kept for every control that is set: by id."""
        registry, state = raw_registry(self.double), self.double.state
        services, policy = state["services"], state["security"]["System Access"]
        found: dict[str, Any] = {}
        for control in APPLIED:
            kind, target = control.judge.kind, control.judge.target
            if kind == "registry":
                key, name = key_and_name(target)
                data = registry.get(key, {}).get(name.lower())
                found[control.id] = data["value"] if isinstance(data, dict) and data["kind"] == "DWord" else data
            elif kind == "service":
                found[control.id] = (
                    tuple(services[target][part] for part in ("StartType", "Status")) if target in services else None
                )
            else:
                found[control.id] = state["audit"][target] if kind == "audit" else int(policy.get(target, -99))
        return found

    def write(self, wanted: dict[str, Any]) -> None:
        """Let these controls' values be so."""
        registry = json.loads((self.double.home / "registry.json").read_text("utf-8-sig"))
        state = self.double.state
        for identity, value in wanted.items():
            control = one(identity)
            kind, target = control.judge.kind, control.judge.target
            if kind == "registry":
                put(registry, target, value)
            elif kind == "service":
                entry = state["services"].setdefault(target, {"DisplayName": target})
                entry["StartType"], entry["Status"] = value
            elif kind == "audit":
                state["audit"][target] = value
            else:
                state["security"]["System Access"][target] = str(value)
        (self.double.home / "registry.json").write_text(json.dumps(registry))
        (self.double.home / "state.json").write_text(json.dumps(state))


def raw_registry(double: Double) -> dict[str, dict[str, Any]]:
    """Values with their kinds; keys and names in lower case."""
    found = json.loads((double.home / "registry.json").read_text("utf-8-sig"))
    return {key.lower(): {name.lower(): data for name, data in values.items()} for key, values in found.items()}


def key_and_name(target: str) -> tuple[str, str]:
    """As the store spells a key, in lower case."""
    key, _, name = target.replace("HKLM:", "HKEY_LOCAL_MACHINE").partition("!")
    return key.lower(), name


def put(registry: dict[str, Any], target: str, value: Any) -> None:
    key, name = key_and_name(target)
    values = registry.setdefault(next((known for known in registry if known.lower() == key), key), {})
    for known in [known for known in values if known.lower() == name.lower()]:
        del values[known]
    if value is not None:
        values[name] = {"kind": "String" if isinstance(value, str) else "DWord", "value": value}


def right_value(control: Control) -> Any:
    return ("Disabled", "Stopped") if control.judge.kind == "service" else control.apply


def wrong_value(control: Control, turn: int) -> Any:
    """A value that is not right: another one in each round."""
    if control.judge.kind == "service":
        return [("Automatic", "Running"), ("Disabled", "Running"), ("Manual", "Stopped")][turn % 3]
    if control.judge.target == "LockoutBadCount":
        return 10  # with 0 Windows tells nothing of the other two
    values = WRONG[control.judge.kind]
    return next(value for value in values[turn % len(values) :] + values if not is_right(control, value))


@pytest.fixture(params=["en", "fr"])
def pc(request: pytest.FixtureRequest, double: Double, engine: Engine) -> Iterator[Pc]:
    """A Windows on which every control is right, made so by no code of the product."""
    double.engine, double.plain = str(engine.folder), engine.personality != "powershell.exe"
    double.control("language", request.param)
    made = Pc(double)
    made.write({control.id: right_value(control) for control in APPLIED})
    yield made
    made.close()


def test_the_table_is_all_that_is_set(pc: Pc) -> None:
    assert len(APPLIED) >= 145
    assert {control.id for control in APPLIED} == set(pc.read())


def test_each_control_alone_is_put_right_and_nothing_else(pc: Pc) -> None:
    right = pc.read()
    assert right == {control.id: right_value(control) for control in APPLIED}
    assert pc.planned() == [], "a compliant start: nothing to do"
    seen = set()
    for turn in ROUNDS:
        wrong = {control.id: wrong_value(control, turn) for at, control in enumerate(APPLIED, 1) if at >> turn & 1}
        pc.write(wrong)
        files = untouched(pc)
        planned = pc.planned()
        assert {change.control for change in planned} == wrong.keys()
        answer = pc.run(script(planned, "pc1"))
        assert (answer["code"], answer["error"], answer["out"]) == (0, None, [])
        assert pc.read() == right
        assert untouched(pc) == files
        assert pc.planned() == [], "the second run: nothing to do"
        seen |= wrong.keys()
    assert seen == right.keys()
    assert list(pc.double.path(r"C:\Windows\Temp").iterdir()) == []


def untouched(pc: Pc) -> dict[str, Any]:
    """All of the store but the values of the controls."""
    registry, state = raw_registry(pc.double), pc.double.state
    ours = {tuple(map(str.lower, key_and_name(one.judge.target))) for one in APPLIED if one.judge.kind == "registry"}
    services = {control.judge.target for control in APPLIED if control.judge.kind == "service"}
    accounts = {control.judge.target for control in APPLIED if control.judge.kind == "account"}
    others = {
        (key, name): value["value"] if isinstance(value, dict) else value
        for key, values in registry.items()
        for name, value in values.items()
        if (key, name) not in ours
    }
    policy = {name: value for name, value in state["security"]["System Access"].items() if name not in accounts}
    kept = {name: value for name, value in state["services"].items() if name not in services}
    rest = {name: value for name, value in state.items() if name not in ("services", "security", "audit")}
    audited = {control.judge.target for control in APPLIED if control.judge.kind == "audit"}
    audit = {name: value for name, value in state["audit"].items() if name not in audited}
    return {"registry": others, "policy": policy, "services": kept, "audit": audit, "rest": rest,
            "rights": state["security"].get("Privilege Rights")}  # fmt: skip


# A PC that says no: an access list on one key, a program that puts one value back without a word.
DENIES = r"""
function New-ItemProperty {
    param($LiteralPath, $Name, $Value, $PropertyType, [switch]$Force)
    if ($Name -eq 'RequireSecuritySignature') {
        Write-Error -Message 'Requested registry access is not allowed.' -ErrorId 'SecurityException' -Category PermissionDenied
    }
    if ($Name -ne 'EnableMulticast') { Microsoft.PowerShell.Management\New-ItemProperty @PSBoundParameters }
}
"""
REFUSED = {
    "WIN-SMB-03": r"HKLM:\SYSTEM\CurrentControlSet\Services\LanManServer\Parameters!RequireSecuritySignature = 1 "
    "(SecurityException,New-ItemProperty)",
    "WIN-SMB-04": r"HKLM:\SYSTEM\CurrentControlSet\Services\LanmanWorkstation\Parameters!RequireSecuritySignature = 1 "
    "(SecurityException,New-ItemProperty)",
    "WIN-NET-01": r"HKLM:\SOFTWARE\Policies\Microsoft\Windows NT\DNSClient!EnableMulticast = 0 (is '77' after it was set)",
    "WIN-SVC-03": "Spooler = Disabled (CouldNotSetService,Set-Service)",
    "WIN-AUD-01": "{0CCE923F-69AE-11D9-BED3-505054503030} = 3 (auditpol: exit code 5)",
    **{
        control.id: f"{control.judge.target} = {control.apply} "
        for control in APPLIED
        if control.judge.kind == "account"
    },
}


def test_a_pc_that_refuses_is_told_each_control_and_value_and_keeps_all_the_others(pc: Pc) -> None:
    wrong = {control.id: wrong_value(control, 2) for control in APPLIED}
    wrong["WIN-AUD-01"] = 0
    pc.write(wrong)
    state = pc.double.state
    state["services"]["Spooler"]["Protected"] = True
    (pc.double.home / "state.json").write_text(json.dumps(state))
    replace_program(pc.double, "secedit.exe", "*/configure*")
    replace_program(pc.double, "auditpol.exe", "*/set*0CCE923F*")
    planned = pc.planned()
    assert {change.control for change in planned} == wrong.keys()
    answer = pc.run(DENIES + script(planned, "@windows/pc1"))
    assert (answer["code"], answer["error"]) == (1, None)
    *told, hint = answer["out"]
    assert hint.startswith("hint: ")
    named = {
        found[1]: found[2]
        for line in told
        if (found := re.fullmatch(r"@windows/pc1: (WIN-\S+) is not kept: (.*)", line))
    }
    assert len(told) == len(named)
    assert named.keys() == REFUSED.keys()
    assert {name: text for name, text in named.items() if not text.startswith(REFUSED[name])} == {}
    assert "(is 1 after it was set; secedit: exit code 5)" in named["WIN-PWD-01"]
    right, kept = {control.id: right_value(control) for control in APPLIED}, pc.read()
    assert {name for name in right if kept[name] != right[name]} == REFUSED.keys()
    assert {change.control for change in pc.planned()} == REFUSED.keys()
    assert list(pc.double.path(r"C:\Windows\Temp").iterdir()) == []


def captured(pc: Pc) -> dict[str, Any]:
    """What genuine PCs said of their policies and services, laid into the store."""
    state = pc.double.state
    for name in ("LockoutDuration", "ResetLockoutCount"):
        del state["security"]["System Access"][name]
    section = ""
    for line in capture("policy", "secedit-export.en.mondoo.inf").splitlines():
        if line.startswith("["):
            section = line.strip("[] ")
        elif section == "System Access" and "=" in line:
            name, _, value = line.partition("=")
            state["security"]["System Access"][name.strip()] = value.strip().strip('"')
    audited = {row["Subcategory GUID"].upper(): int(row["Setting Value"] or 0)
               for row in csv.DictReader(capture("policy", "audit.csv.nsa-gpo.csv").splitlines())}  # fmt: skip
    state["audit"] |= {name: value for name, value in audited.items() if name in state["audit"]}
    for row in json.loads(capture("windows", "get-service.ps51.json")):
        start = {2: "Automatic", 3: "Manual", 4: "Disabled"}[row["StartType"]]
        status = {1: "Stopped", 4: "Running"}[row["Status"]]
        state["services"][row["Name"]] = {"DisplayName": row["DisplayName"], "StartType": start, "Status": status}
    return state


def test_what_genuine_pcs_said_is_a_start_from_which_the_pc_converges(pc: Pc) -> None:
    pc.write({control.id: None for control in APPLIED if control.judge.kind == "registry"})
    (pc.double.home / "state.json").write_text(json.dumps(captured(pc)))
    before = pc.read()
    planned = {change.control: change for change in pc.planned()}
    wrong = {
        control.id
        for control in APPLIED
        if control.judge.kind == "account" and not is_right(control, before[control.id])
    }
    assert (
        {name for name in planned if name.startswith(("WIN-PWD", "WIN-ACC"))}
        >= {name for name in wrong if "PWD" in name}
        != set()
    )
    assert (pc.run(script(list(planned.values()), "pc1"))["code"], pc.planned()) == (0, [])
    after = pc.read()
    assert {name for name in after if after[name] != before[name]} == set(planned)
