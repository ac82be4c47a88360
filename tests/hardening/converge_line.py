"""What must hold of firewall, SSH server and volumes of any state: the second half of tests/hardening/test_converge.py."""

from __future__ import annotations

from collections.abc import Callable

from citadelle.hardening.judge import Verdict
from citadelle.hardening.state import State
from citadelle.operations.line import Admins, Change, change
from tests.hardening.line_pc import NET, LinePc, is_compliant
from tests.hardening.right import SECTIONS
from tests.hardening.states import TABLE

ADMINS = Admins("operator", (NET,), keys=(SECTIONS["ssh_keys"]["Text"],))
LINE = [control.id for control in TABLE.controls if control.is_line]
# Rules that nobody but a group policy can make, where it shuts the PC's own out.
RULES = {"WIN-FWL-07", "WIN-FWL-08", "WIN-FWL-12"}
# What else follows from the keys that a change writes.
OF_KEYS = {"WIN-SSH-20", "WIN-MFA-02"}
Ask = Callable[[], tuple[State, dict[str, Verdict]]]


def converge_line(pc: LinePc, ask: Ask, waived: set[str]) -> None:
    """What is wrong of the line is set, or says why not; a second run does nothing; what was right stays as it was."""
    state, before = ask()
    planned = change(list(before.values()), state, ADMINS)
    if pc.sections["rollback"] and "rollback" not in pc.errors:
        assert planned.refused is not None
        return
    assert planned.refused is None
    assert not [name for name in waived & set(planned.controls) if before[name].status == "waived"]
    pc.make(planned.values)
    right, after = ask()
    assert change(list(after.values()), right, ADMINS) == Change()
    shut_out = any(one["AllowLocalFirewallRules"] == 0 for one in pc.sections["firewall_profiles"])
    for name in LINE:
        found = after[name]
        left = "group policy" in found.why or (shut_out and name in RULES)
        assert found.status in ("pass", "not applicable") or (found.why and found.status != "fail") or left, found
    follows = set(planned.controls) | (OF_KEYS if "WIN-SSH-21" in planned.controls else set())
    for name in before.keys() - follows:
        same = (after[name].status, after[name].found) == (before[name].status, before[name].found)
        assert same or (before[name].status != "pass" and after[name].status == "pass"), name


def volumes_are_judged(pc: LinePc, found: dict[str, Verdict]) -> None:
    """Each by the table, and what is wrong with one comes with its cure."""
    if {"bitlocker", "version"} & pc.errors.keys():
        return
    for name, kind in (("WIN-BIT-01", 0), ("WIN-BIT-02", 1)):
        mine = [one for one in pc.sections["bitlocker"] if one["VolumeType"] == kind]
        right = all(is_compliant(one, pc.unlock) for one in mine) and bool(mine or kind)
        assert found[name].status == ("pass" if right else "fail"), (found[name], mine)
        assert right or not mine or ": " in found[name].why
