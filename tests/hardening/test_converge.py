"""Any state through judge, apply, judge: it converges or says why, never raises, and never touches what is right."""

from __future__ import annotations

from collections import Counter
from itertools import product
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from citadelle.hardening.judge import Verdict, judge
from citadelle.hardening.state import State
from citadelle.hardening.table import Control, Table
from citadelle.hardening.waivers import Waiver
from citadelle.operations.hardening import Change, changes
from tests.hardening.converge_line import converge_line, volumes_are_judged
from tests.hardening.line_pc import KINDS, LINE, VOLUMES, LinePc
from tests.hardening.right import OF_A_PIN, SECTIONS, Pc, is_right
from tests.hardening.states import TABLE, TODAY, one, parsed, verdicts

APPLIED = [control for control in TABLE.controls if control.apply is not None and not control.is_line]
IDS = {
    kind: [control.id for control in APPLIED if control.judge.kind == kind]
    for kind in ("registry", "service", "audit", "account", "state")
}
BROKEN = {"id": "Denied,Get-Something", "result": "0x80070005"}
NUMBERS = st.sampled_from([None, -1, 0, 1, 2, 3, 4, 5, 6, 14, 15, 16, 24, 255, 256, 900, 901, 3600, 196608, 2**31 - 1])
VALUES = {
    "registry": NUMBERS | st.sampled_from(["", "0", "1", "2", "Disabled", [1], True]),
    "service": st.tuples(
        st.sampled_from(["Auto", "Manual", "Disabled", "absent"]), st.sampled_from(["Running", "Stopped"])
    ),
    "audit": st.sampled_from([0, 1, 2, 3, None]),
    "account": NUMBERS,
    "state": st.sampled_from([None, True, False, 0, 1, 2, 6]),
}
DEVIATIONS = st.fixed_dictionaries(
    {kind: st.dictionaries(st.sampled_from(IDS[kind]), VALUES[kind], max_size=9) for kind in IDS}
)
# A section that Windows does not give, or of which something is not as expected.
SPOILT = st.dictionaries(
    st.sampled_from([*SECTIONS, "services", "audit_policy", "security_policy"]), st.just(BROKEN), max_size=2
)
# Windows does not tell them before there is a threshold, whoever has accepted what.
TIMES = ("WIN-PWD-07", "WIN-PWD-08")
WAIVED = st.lists(st.sampled_from([control.id for control in TABLE.controls if control.is_set]), max_size=3)


def was_right(identity: str, pc: Pc, given: Any) -> bool:
    """Whether a deviation that a test made is one at all."""
    control = one(identity)
    if control.judge.kind == "service":
        mode, state = given
        return bool(mode in ("Disabled", "absent") and (mode, state) != ("Disabled", "Running"))
    if control.judge.kind == "account" and control.judge.target in ("LockoutDuration", "ResetLockoutCount"):
        return bool(pc.account.get("LockoutBadCount")) and is_right(control, given)
    return is_right(control, given)


def asked(pc: Pc, waivers: list[Waiver]) -> tuple[State, dict[str, Verdict]]:
    state = State.parse(pc.raw())
    found = judge(state, TABLE, waivers, host="@windows/pc1", groups=["windows"], today=TODAY)
    assert [verdict.control.id for verdict in found] == [control.id for control in TABLE.controls], (
        "one verdict for each, in order"
    )
    assert sum(Counter(verdict.status for verdict in found).values()) == len(TABLE.controls)
    return state, {verdict.control.id: verdict for verdict in found}


def expected(pc: Pc, joined: bool, waived: set[str]) -> set[str]:
    """What must be set, found without the product's judge: wrong, readable, neither waived nor the domain's."""
    unread = {"service": "services", "audit": "audit_policy", "account": "security_policy"}
    found = set()
    for control in APPLIED:
        kind, value = control.judge.kind, pc.value(control)
        if kind == "state" and unread_of_defender(control, pc, value):
            continue
        if unread.get(kind) in pc.errors or (kind == "audit" and value is None) or control.id in waived:
            continue
        if control.judge.target == "WinRM" and (joined or "computer" in pc.errors):
            continue  # a domain may need it
        if not was_right(control.id, pc, value) and not (joined and kind == "account"):
            found.add(control.id)
    return found


def unread_of_defender(control: Control, pc: Pc, value: Any) -> bool:
    """Whether a PC does not say how a setting of Defender is; a rule that is not there is one that is off."""
    return bool({"defender", control.judge.target.split(".")[0]} & pc.errors.keys()) or (
        value is None and not control.judge.where
    )


def converge(
    deviations: dict[str, dict[str, Any]], spoilt: dict[str, Any], joined: bool, waived: list[str], line: dict[str, Any]
) -> None:
    """The whole property."""
    pc = LinePc(line)
    pc.sections["computer"]["PartOfDomain"], pc.errors = joined, spoilt
    waivers = [
        Waiver(control=name, host="pc1", reason="as a test wants it", expires=TODAY, accepted_by="nobody")
        for name in waived
    ]
    for values in deviations.values():
        for name, value in values.items():
            pc.put(one(name), value)
    state, before = asked(pc, waivers)
    planned = changes(list(before.values()), state)
    knows_the_domain = "computer" not in spoilt
    assert {change.control for change in planned} == expected(pc, joined and knows_the_domain, set(waived))
    for change in planned:
        pc.keep(change.kind, change.target, change.value)
    right, after = asked(pc, waivers)
    without_threshold = pc.account["LockoutBadCount"] in (None, 0)
    for verdict in after.values():
        assert verdict.status in ("pass", "not applicable") or verdict.why or verdict.control.id in before
        if verdict.status in ("waived", "unknown", "not applicable"):
            assert verdict.why, verdict.control.id
    left = {change.control for change in changes(list(after.values()), right)}
    assert left == (set(TIMES) & {change.control for change in planned} if without_threshold else set())
    untouched = {
        name: verdict.status for name, verdict in before.items() if name not in {change.control for change in planned}
    }
    if any(change.target == "LockoutBadCount" for change in planned):
        untouched |= {name: "pass" for name in TIMES if name in untouched and told_right(name, pc)}
    assert untouched == {name: after[name].status for name in untouched}
    volumes_are_judged(pc, after)
    converge_line(pc, lambda: asked(pc, waivers), set(waived))


def told_right(identity: str, pc: Pc) -> bool:
    """Whether a time of a lockout, which Windows tells only where there is a threshold, is a right one."""
    control = one(identity)
    return is_right(control, pc.account[control.judge.target])


@settings(max_examples=40, deadline=None)
@given(DEVIATIONS, SPOILT, st.booleans(), WAIVED, LINE)
@example({"account": {"WIN-PWD-06": None}}, {}, False, ["WIN-PWD-07"], {})
@example({"account": {"WIN-PWD-06": 0, "WIN-PWD-08": 1}}, {}, False, ["WIN-PWD-08"], {})
def test_any_state_is_judged_put_right_and_then_right(
    deviations: dict[str, dict[str, Any]], spoilt: dict[str, Any], joined: bool, waived: list[str], line: dict[str, Any]
) -> None:
    converge(deviations, spoilt, joined, waived, line)


@pytest.mark.lab
@settings(max_examples=1000, deadline=None)
@given(DEVIATIONS, SPOILT, st.booleans(), WAIVED, LINE)
def test_a_thousand_states_are_judged_put_right_and_then_right(
    deviations: dict[str, dict[str, Any]], spoilt: dict[str, Any], joined: bool, waived: list[str], line: dict[str, Any]
) -> None:
    converge(deviations, spoilt, joined, waived, line)


def test_every_volume_that_is_nearly_right_is_judged_by_the_table() -> None:
    """All that one wrong thing and any protectors make of a system volume and of one for data; generated states reach few of them."""
    few = Table(controls=(one("WIN-BIT-01"), one("WIN-BIT-02")))
    for values, kinds, unlock in product(VOLUMES, KINDS, (None, "tpm", "tpm_pin")):
        pc = LinePc({"volumes": [(values, kinds), (values, kinds)], "unlock": unlock})
        raw = pc.raw()
        raw["sections"] = {name: raw["sections"][name] for name in ("version", "bitlocker")}
        found = judge(State.parse(raw), few, [], host="pc1", groups=[], today=TODAY)
        volumes_are_judged(pc, {verdict.control.id: verdict for verdict in found})


def test_a_right_pc_has_nothing_to_do_and_every_control_is_right_or_waived_by_the_table() -> None:
    state, found = asked(Pc(), [])
    waived = {control.id for control in TABLE.controls if control.waived}
    assert {
        name: verdict.status for name, verdict in found.items() if verdict.status != "pass" and name not in waived
    } == dict.fromkeys(OF_A_PIN, "not applicable")
    assert {found[name].status for name in waived} <= {"pass", "waived"}
    assert changes(list(found.values()), state) == []


def test_a_lockout_is_never_shorter_than_the_time_in_which_failures_count() -> None:
    """Windows refuses such a policy whole."""
    pc = Pc()
    pc.account |= {"LockoutDuration": 10, "ResetLockoutCount": 30}
    state, found = asked(pc, [])
    assert changes(list(found.values()), state) == [Change("WIN-PWD-07", "account", "LockoutDuration", 30)]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 2**32)
    | st.sampled_from(["", "Auto", "[System Access]\nA = 1", "S-1-16-12288"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["Name", "SID", "Enabled", "StartMode", "Groups", "Build", "KeyProtector"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(st.sampled_from([*SECTIONS, "services", "audit_policy", "security_policy", "new"]), JSON), st.data()
)
def test_no_answer_breaks_the_judge(sections: dict[str, Any], data: Any) -> None:
    """Whatever a look says: as many verdicts as controls, and what is not understood is unknown with its reason."""
    registry = data.draw(st.dictionaries(st.sampled_from(TABLE.registry_values), JSON, max_size=9))
    state = State.parse({"format": 1, "sections": sections, "registry": registry, "errors": {"gpus": "x"}})
    found = verdicts(state)
    assert len(found) == len(TABLE.controls)
    assert all(verdict.why for verdict in found.values() if verdict.status in ("unknown", "not applicable", "waived"))
    changes(list(found.values()), state)


def test_verdicts_of_captures_add_up() -> None:
    for state in (State(), parsed(), parsed(services=[]), State.parse(Pc().raw())):
        assert len(verdicts(state)) == len(TABLE.controls)
