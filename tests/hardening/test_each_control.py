"""Each control that is only judged, one by one: its own wrong value in an otherwise right state is seen, named, and is nobody else's."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from citadelle.hardening.judge import Verdict
from citadelle.hardening.state import State
from tests.hardening import linux_states, wrong_linux, wrong_windows
from tests.hardening.right import Pc
from tests.hardening.states import TABLE, verdicts
from tests.hardening.wrong_windows import Wrong

SET = linux_states.as_set() | {"platform": linux_states.PLATFORM}
LINUX = {
    name: SET.get(name, {}) | wrong_linux.RIGHT.get(name, {})
    if name not in ("listeners", "containers")
    else wrong_linux.RIGHT[name]
    for name in {*SET, *wrong_linux.RIGHT}
}


@cache
def right_pc() -> dict[str, Verdict]:
    """What is said of a right PC."""
    return verdicts(State.parse(Pc().raw()).chosen("tpm"))


@cache
def right_host() -> dict[str, Verdict]:
    """What is said of a right Linux host."""
    return linux_states.verdicts(linux_states.parsed(**LINUX))


def put(pc: Pc, place: str, value: Any) -> None:
    """Let one value be so; a place that no look reads is a mistake of the row."""
    kind, _, target = place.partition(" ")
    if target:
        stands = {"registry": pc.registry, "service": pc.services, "right": pc.rights}[kind]
        assert target in stands or kind != "registry", target
        stands[target] = value
        return
    section, _, name = place.partition(".")
    assert section in pc.sections
    if name:
        assert name in pc.sections[section]
        pc.sections[section][name] = value
    else:
        pc.sections[section] = value


@pytest.mark.parametrize("row", wrong_windows.WRONG, ids=lambda row: row.control)
def test_a_wrong_value_is_seen_by_its_control_and_by_no_other(row: Wrong) -> None:
    pc, before = Pc(), right_pc()
    if row.right is not None:
        put(pc, row.place, row.right)
        before = verdicts(State.parse(pc.raw()).chosen(row.unlock))
    assert before[row.control].status == "pass"
    put(pc, row.place, row.value)
    after = verdicts(State.parse(pc.raw()).chosen(row.unlock))
    changed = {name: found.status for name, found in after.items() if found.status != before[name].status}
    assert changed == {row.control: row.status, **row.also}
    assert says(after[row.control]) == row.told


def says(found: Verdict) -> str:
    """What a verdict tells of the value."""
    return found.why.partition(";")[0] if found.status == "unknown" else found.found


@pytest.mark.parametrize("row", wrong_linux.WRONG, ids=lambda row: row.control)
def test_a_wrong_value_of_a_linux_host_is_seen_by_its_control_and_by_no_other(row: Wrong) -> None:
    section, _, name = row.place.partition(".")
    before = right_host()
    assert before[row.control].status == "pass"
    value = LINUX[section] | {name: row.value} if name else row.value
    after = linux_states.verdicts(linux_states.parsed(**LINUX | {section: value}))
    changed = {name: found.status for name, found in after.items() if found.status != before[name].status}
    assert changed == {row.control: row.status, **row.also}
    assert says(after[row.control]) == row.told


def test_a_right_linux_host_passes_every_control() -> None:
    assert {name: verdict.line("x") for name, verdict in right_host().items() if verdict.status != "pass"} == {}


def test_every_control_that_is_only_judged_has_its_wrong_value() -> None:
    for table, rows in ((TABLE, wrong_windows.WRONG), (linux_states.TABLE, wrong_linux.WRONG)):
        judged = [control.id for control in table.controls if not control.is_set]
        assert sorted(row.control for row in rows) == sorted(judged)
