"""Detection, second factors and updates: what proves, what does not, and that nothing passes for want of evidence."""

from __future__ import annotations

import re
from typing import Any

import pytest

from citadelle.hardening.evidence import EDR
from tests.hardening.states import capture, parsed, verdicts

SK, PLAIN = "sk-ssh-ed25519@openssh.com", "ssh-ed25519"


def mfa(**more: Any) -> dict[str, Any]:
    """As the look answers on the genuine workgroup PC of the capture."""
    text = capture("mfa", "dsregcmd-status.workgroup.txt")
    names = ("AzureAdJoined", "DomainJoined", "NgcSet", "AzureAdPrt", "SessionIsNotRemote")
    found = {name: (re.search(rf"^\s*{name} : (\S+)", text, re.M) or ["", ""])[1] for name in names}
    return found | {"Hello": [], "ForceOption": 0} | more


def test_a_pc_of_a_workgroup_proves_nothing() -> None:
    verdict = verdicts(parsed(mfa=mfa()), "WIN-MFA-01")["WIN-MFA-01"]
    assert (verdict.status, verdict.why) == (
        "unknown",
        "nothing forces Hello or a smart card; Hello is enrolled for 0 accounts, NgcSet NO, AzureAdJoined NO, AzureAdPrt NO; "
        "conditional access is not seen from here",
    )


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"ForceOption": 1}, "pass"),
        ({"Hello": ["S-1-5-21-1-2-3-1001"], "NgcSet": "YES", "AzureAdJoined": "YES", "AzureAdPrt": "YES"}, "unknown"),
        ({"ForceOption": 0, "NgcSet": ""}, "unknown"),
    ],
)
def test_a_session_needs_a_second_factor_only_where_that_is_forced(more: dict[str, Any], status: str) -> None:
    assert verdicts(parsed(mfa=mfa(**more)), "WIN-MFA-01")["WIN-MFA-01"].status == status


@pytest.mark.parametrize(
    ("keys", "options", "status", "why"),
    [
        ([], "", "unknown", "no key of an administrator is in administrators_authorized_keys"),
        ([SK], "", "unknown", "each key is on a security key, but nothing asks for its PIN: verify-required"),
        ([SK], "touch-required, verify-required", "pass", ""),
        ([f"{SK} verified", f"{SK} verified"], "", "pass", ""),
        ([f"{SK} verified", SK], "", "unknown", "each key is on a security key, but nothing asks for its PIN: verify-required"),
        ([SK, PLAIN], "verify-required", "fail", ""),
    ],
)  # fmt: skip
def test_keys_of_administrators(keys: list[str], options: str, status: str, why: str) -> None:
    lines = [f"{'verify-required ' * key.endswith('verified')}{key.split()[0]} {'A' * 68}= operator" for key in keys]
    server = {"Effective": ["passwordauthentication no", f"pubkeyauthoptions {options or 'none'}"], "Text": ""}
    state = parsed(sshd=server, ssh_keys={"Sddl": "", "Text": "\r\n".join(lines)})
    verdict = verdicts(state, "WIN-MFA-02")["WIN-MFA-02"]
    assert (verdict.status, verdict.why) == (status, why)


def test_what_a_match_makes_of_the_keys_counts_more() -> None:
    text = "Match User operator\r\n  PubkeyAuthOptions touch-required\r\n"
    server = {"Effective": ["passwordauthentication no", "pubkeyauthoptions verify-required"], "Text": text}
    state = parsed(sshd=server, ssh_keys={"Sddl": "", "Text": f"{SK} {'A' * 68} operator"})
    assert verdicts(state, "WIN-MFA-02")["WIN-MFA-02"].status == "unknown"


def test_a_look_without_the_section_passes_nothing() -> None:
    found = verdicts(parsed(), "WIN-MFA-01", "WIN-MFA-02", "WIN-UPD-06", "WIN-UPD-07", "WIN-UPD-08", "WIN-DEF-13")
    assert {verdict.status for verdict in found.values()} == {"unknown"}


@pytest.mark.parametrize(
    ("service", "drivers", "status"),
    [
        ("CSFalconService", ["csagent"], "pass"),
        ("CSFalconService", ["WdFilter"], "fail"),
        ("hurukai", [], "not applicable"),
        ("Nothing", [], "not applicable"),
    ],
)
def test_a_program_of_detection_without_its_driver_is_blind(service: str, drivers: list[str], status: str) -> None:
    rows = [{"Name": service, "State": "Running", "StartMode": "Auto"}]
    found = verdicts(parsed(services=rows, drivers=drivers), "WIN-DEF-12", "WIN-DEF-13")
    assert found["WIN-DEF-13"].status == status
    assert found["WIN-DEF-12"].status == ("pass" if service in EDR else "fail")
    if status == "fail":
        assert found["WIN-DEF-13"].found == "Name=CSFalconService driver=no"


def test_updates_as_the_task_has_found_them() -> None:
    one = {"Name": "2026-11 Cumulative Update", "Severity": "Critical", "Restart": True}
    right = {"Searched": True, "DaysSinceSearch": 0, "DaysSinceSuccess": 3, "Error": "", "Pending": []}
    ids = ("WIN-UPD-06", "WIN-UPD-07", "WIN-UPD-08")
    assert {v.status for v in verdicts(parsed(updates=right), *ids).values()} == {"pass"}
    wrong = {
        "Searched": True,
        "DaysSinceSearch": 8,
        "DaysSinceSuccess": 46,
        "Error": "",
        "Pending": one,
    }  # one item, as 5.1 writes it
    found = verdicts(parsed(updates=wrong), *ids)
    assert {v.status for v in found.values()} == {"fail"}
    assert "2026-11 Cumulative Update" in found["WIN-UPD-06"].found
    never = {"Searched": True, "DaysSinceSearch": None, "DaysSinceSuccess": None, "Error": "0x8024402C", "Pending": []}
    assert verdicts(parsed(updates=never), "WIN-UPD-07")["WIN-UPD-07"].status == "unknown"
    first = verdicts(parsed(updates={"Searched": False}), *ids)
    assert {v.status: v.why for v in first.values()} == {"unknown": "no search for updates has been made: role updates"}
