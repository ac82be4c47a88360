"""Verdicts: pass, fail, waived, unknown, not applicable, and never silence."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from citadelle.hardening.judge import Verdict, judge
from citadelle.hardening.state import State
from citadelle.hardening.table import Control, Table
from citadelle.hardening.waivers import Waiver
from citadelle.operations.hardening import changes
from tests.hardening.states import TABLE, TODAY, one, parsed, verdicts

KEY = r"HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System!EnableLUA"
UAC = one("WIN-UAC-01")


def verdict(control: Control, state: State, *waivers: Waiver, host: str = "@windows/pc1") -> Verdict:
    (found,) = judge(
        state, Table(controls=(control,)), list(waivers), host=host, groups=["windows", "paris"], today=TODAY
    )
    return found


def waiver(days: int = 1, **values: Any) -> Waiver:
    place = values or {"host": "pc1"}
    return Waiver(
        control=UAC.id, reason="until the old scanner is gone", accepted_by="security officer",
        expires=TODAY + timedelta(days=days), **place,
    )  # fmt: skip


OFF = State(registry={KEY: 0})


def test_pass() -> None:
    found = verdict(UAC, State(registry={KEY: 1}))
    assert (found.status, found.deviates) == ("pass", False)


def test_a_value_that_is_absent_counts_as_what_windows_does_without_it() -> None:
    assert verdict(UAC, State(registry={KEY: None})).status == "pass"
    assert (
        verdict(one("WIN-NET-01"), State(registry={one("WIN-NET-01").judge.target: None})).found
        == "absent, which means 1"
    )


def test_fail_says_what_was_found_and_wanted_in_both_languages() -> None:
    found = verdict(UAC, OFF)
    assert found.line("@windows/pc1") == "@windows/pc1: fail: WIN-UAC-01 User account control is on: found 0, wanted 1"
    assert "Le contrôle de compte" in found.line("pc1", "fr")


@pytest.mark.parametrize("place", [{"host": "pc1"}, {"host": "@windows/pc*"}, {"host": "pc?"}, {"group": "paris"}])
def test_waived_until_the_end_of_its_last_day(place: dict[str, str]) -> None:
    found = verdict(UAC, OFF, waiver(0, **place))
    assert (found.status, found.deviates) == ("waived", False)
    assert found.why == "until the old scanner is gone; accepted by security officer until 2026-06-01"


@pytest.mark.parametrize("place", [{"host": "pc2"}, {"host": "pc"}, {"group": "lyon"}])
def test_a_waiver_of_another_place_says_nothing(place: dict[str, str]) -> None:
    assert verdict(UAC, OFF, waiver(**place)).status == "fail"


def test_an_expired_waiver_is_a_failure_and_a_valid_one_beside_it_counts() -> None:
    found = verdict(UAC, OFF, waiver(-1))
    assert (found.status, found.why) == ("fail", "waiver expired on 2026-05-31")
    assert verdict(UAC, OFF, waiver(-1), waiver(1)).status == "waived"


def test_an_expired_waiver_fails_even_where_the_bundle_itself_waives() -> None:
    control = one("WIN-LSA-07")
    state = State(registry={control.judge.target: 0})
    assert verdict(control, state).status == "waived"
    expired = waiver(-1).model_copy(update={"control": control.id})
    assert verdict(control, state, expired).status == "fail"


def test_what_is_right_needs_no_waiver() -> None:
    assert verdict(UAC, State(registry={KEY: 1}), waiver(-1)).status == "pass"


def test_unknown_says_why_and_deviates() -> None:
    broken = State(errors={f"registry.{KEY}": "System.Security.SecurityException (0x8013150A)"})
    found = verdict(UAC, broken)
    assert (found.status, found.deviates) == ("unknown", True)
    assert found.why == f"{KEY}: System.Security.SecurityException (0x8013150A)"
    assert verdict(UAC, State()).why == f"not in this state: {KEY}"
    assert (
        verdict(one("WIN-SVC-01"), State(errors={"services": "Denied (0x80041003)"})).why
        == "services: Denied (0x80041003)"
    )


def test_unknown_can_be_accepted_too() -> None:
    assert verdict(UAC, State(), waiver()).status == "waived"


def test_not_applicable_says_why() -> None:
    guard = one("WIN-PLT-08")
    home = parsed(
        version={"Build": 26100, "Revision": 1, "EditionID": "Professional"},
        device_guard={"SecurityServicesRunning": [2]},
    )
    assert verdict(guard, home).line("pc1") == (
        "pc1: not applicable: WIN-PLT-08 Credential Guard runs (needs edition enterprise or education: pro)"
    )
    assert verdict(guard, State()).why == "the edition is not in this state"
    laps = verdict(
        one("WIN-UPD-05"), parsed(computer={"PartOfDomain": False, "PartOfEntra": False}, laps={"BackupDirectory": 0})
    )
    assert (laps.status, laps.why) == ("not applicable", "a PC of a workgroup has nobody to keep the password")


def test_an_empty_list_does_not_pass_for_a_right_one() -> None:
    rule = one("WIN-FWL-07")
    assert verdict(rule, State(sections={"firewall_rules": []})).status == "fail"
    right = {"Name": "citadelle-x", "LocalPort": ["11434"], "Action": 4, "Direction": 1, "Enabled": 1, "Profile": 0,
             "Protocol": "TCP", "RemoteAddress": ["Any"], "LocalAddress": ["Any"]}  # fmt: skip
    assert verdict(rule, State(sections={"firewall_rules": [right]})).status == "pass"
    assert verdict(rule, State(sections={"firewall_rules": [right | {"Action": 2}]})).status == "fail"


def test_one_section_that_is_broken_spoils_no_other() -> None:
    state = parsed(services="nonsense", tpm={"TpmReady": True, "SpecVersion": "2.0, 0, 1.38"}, bitlocker=[{"x": 1}])
    found = verdicts(state)
    assert found["WIN-PLT-03"].status == "pass"
    assert found["WIN-SVC-01"].status == found["WIN-BIT-01"].status == "unknown"
    assert len(found) == len(TABLE.controls)


def test_what_is_waived_or_unknown_or_right_is_not_touched() -> None:
    assert [change.control for change in changes([verdict(UAC, OFF)], OFF)] == ["WIN-UAC-01"]
    for found in (verdict(UAC, OFF, waiver()), verdict(UAC, State()), verdict(UAC, State(registry={KEY: 1}))):
        assert changes([found], OFF) == []
    remote = State(registry={one("WIN-RDP-01").judge.target: 0})
    assert changes([verdict(one("WIN-RDP-01"), remote)], remote) == [], "judged only"


@pytest.mark.parametrize(("joined", "count"), [(False, 1), (True, 0)])
def test_the_policy_of_accounts_is_the_domains_on_a_joined_pc(joined: bool, count: int) -> None:
    state = parsed(security_policy="[System Access]\nMinimumPasswordLength = 8\n", computer={"PartOfDomain": joined})
    found = verdict(one("WIN-PWD-01"), state)
    assert found.status == "fail"
    assert len(changes([found], state)) == count


def test_a_service_that_is_disabled_and_runs_is_not_off() -> None:
    for mode, running, status, said in (
        ("Disabled", "Stopped", "pass", "Disabled"),
        ("Disabled", "Running", "fail", "Disabled, but it runs"),
        ("Manual", "Running", "fail", "Manual"),
    ):
        found = verdict(one("WIN-SVC-03"), parsed(services=[{"Name": "Spooler", "StartMode": mode, "State": running}]))
        assert (found.status, found.found) == (status, said)


def test_the_password_of_the_administrator_is_kept_by_whatever_the_pc_is_joined_to() -> None:
    for domain, entra, directory, status in (
        (True, False, 2, "pass"),
        (False, True, 1, "pass"),
        (False, True, 0, "fail"),
        (False, False, 0, "not applicable"),
    ):
        state = parsed(computer={"PartOfDomain": domain, "PartOfEntra": entra}, laps={"BackupDirectory": directory})
        assert verdict(one("WIN-UPD-05"), state).status == status
