"""What genuine Windows wrote, through the fact's own parser, judged by the table: French as English."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from citadelle.hardening.state import State, StateError
from tests.conftest import shared_path
from tests.hardening.states import capture, french_profiles, listed, parsed, services, verdicts, version


def status(state: State, *ids: str) -> dict[str, str]:
    return {name: verdict.status for name, verdict in verdicts(state, *ids).items()}


def test_the_firewall_of_a_french_windows_is_judged_as_an_english_one() -> None:
    english = json.loads(capture("firewall", "get-netfirewallprofile.convertto-json.json"))
    french = french_profiles()
    assert [profile["Name"] for profile in french] == ["Domain", "Private", "Public"]
    for profiles, expected in (
        (english, "pass"),
        (french, "pass"),
        ([*french[:2], {"Name": "Public", "Enabled": 0}], "fail"),
    ):
        assert status(parsed(firewall_profiles=profiles), "WIN-FWL-01") == {"WIN-FWL-01": expected}


def test_a_profile_that_nobody_configured_is_not_taken_for_a_blocking_one() -> None:
    """Without the active store Windows says 0, which is no action."""
    state = parsed(firewall_profiles=json.loads(capture("firewall", "get-netfirewallprofile.convertto-json.json")))
    verdict = verdicts(state, "WIN-FWL-02")["WIN-FWL-02"]
    assert (verdict.status, verdict.found) == (
        "fail",
        "Name=Private DefaultInboundAction=0, Name=Public DefaultInboundAction=0",
    )


def test_the_session_of_a_french_user_is_not_elevated() -> None:
    groups = capture("fr", "whoami-groups.user.tail.txt")
    assert "Étiquette obligatoire" in groups
    state = parsed(session={"Groups": groups, "UICulture": "fr-FR"})
    assert status(state, "WIN-PLT-11") == {"WIN-PLT-11": "fail"}
    filtered = groups.replace("S-1-5-15 ", "S-1-5-32-544 ")
    assert status(parsed(session={"Groups": filtered}), "WIN-PLT-11") == {"WIN-PLT-11": "fail"}, "its level is medium"
    administrator = groups.replace("S-1-16-8192", "S-1-16-12288").replace("S-1-5-15 ", "S-1-5-32-544 ")
    assert status(parsed(session={"Groups": administrator}), "WIN-PLT-11") == {"WIN-PLT-11": "pass"}


@pytest.mark.parametrize(
    ("name", "encoding"),
    [("secedit-export.en.mondoo.inf", "utf-8"), ("secedit-export.en.mondoo.utf16le.inf", "utf-16")],
)
def test_a_genuine_security_policy(name: str, encoding: str) -> None:
    state = parsed(security_policy=shared_path("data", "windows", "policy", name).read_text(encoding))
    found = verdicts(state)
    assert {name: found[f"WIN-PWD-{name}"].status for name in ("01", "02", "03", "04", "05", "06", "07", "08")} == {
        "01": "fail", "02": "fail", "03": "pass", "04": "pass", "05": "fail", "06": "fail", "07": "fail", "08": "fail",
    }  # fmt: skip
    assert found["WIN-PWD-01"].line("pc1") == (
        "pc1: fail: WIN-PWD-01 Passwords have 14 characters or more: found 0, wanted at least 14"
    )
    rights = {name: found[f"WIN-{name}"].status for name in ("ACC-10", "ACC-11", "ACC-12", "ACC-13", "WSL-15")}
    assert rights == {"ACC-10": "pass", "ACC-11": "pass", "ACC-12": "pass", "ACC-13": "pass", "WSL-15": "pass"}
    assert (found["WIN-ACC-01"].status, found["WIN-ACC-16"].status) == ("pass", "pass")


def test_a_genuine_audit_policy_with_numbers() -> None:
    found = verdicts(parsed(audit_policy=capture("policy", "audit.csv.nsa-gpo.csv")))
    named = {name: found[f"WIN-AUD-{name}"].status for name in ("01", "03", "05", "07", "16", "27")}
    assert named == {"01": "pass", "03": "pass", "05": "pass", "07": "pass", "16": "pass", "27": "pass"}
    half = capture("policy", "audit.csv.nsa-gpo.csv").replace("Success and Failure,,3", "Success and Failure,,1", 1)
    assert verdicts(parsed(audit_policy=half))["WIN-AUD-01"].line("pc1") == (
        "pc1: fail: WIN-AUD-01 Checks of credentials are recorded: found success, wanted success and failure"
    )
    assert found["WIN-AUD-20"].status == "unknown"
    assert found["WIN-AUD-20"].why == "not in the audit policy: {0CCE9232-69AE-11D9-BED3-505054503030}"


def test_an_audit_policy_in_words_is_unknown_for_it_could_be_in_any_language() -> None:
    found = verdicts(parsed(audit_policy=capture("policy", "auditpol-get-r.en.csv")), "WIN-AUD-01")["WIN-AUD-01"]
    assert found.status == "unknown"
    assert "audit_policy is not as expected" in found.why


def test_genuine_services() -> None:
    found = verdicts(parsed(services=services()))
    assert {name: found[f"WIN-SVC-{name}"].status for name in ("01", "44", "45")} == {
        "01": "pass",
        "44": "pass",
        "45": "pass",
    }
    assert found["WIN-SVC-01"].found == "absent"
    assert found["WIN-SVC-47"].status == "fail", "WSL's service is not among them"


@pytest.mark.parametrize(
    ("name", "edition", "old"), [("win11-24h2-enterprise", "enterprise", "pass"), ("server2025", "server", "pass")]
)
def test_genuine_versions(name: str, edition: str, old: str) -> None:
    state = parsed(version=version(name))
    assert state.edition == edition
    assert status(state, "WIN-PLT-01", "WIN-PLT-02") == {"WIN-PLT-01": "pass", "WIN-PLT-02": old}


def test_a_genuine_tpm() -> None:
    words = listed(shared_path("data", "windows", "bitlocker", "get-tpm.fl.txt"))
    found = {name: words[name] == "True" for name in ("TpmPresent", "TpmReady", "LockedOut", "RestartPending")}
    state = parsed(tpm={**found, "SpecVersion": "2.0, 0, 1.38"})
    assert status(state, "WIN-PLT-03", "WIN-PLT-04", "WIN-PLT-12") == {
        "WIN-PLT-03": "pass", "WIN-PLT-04": "pass", "WIN-PLT-12": "pass",
    }  # fmt: skip


def test_genuine_accounts() -> None:
    rows = json.loads(capture("accounts", "get-localuser.ps51.json"))
    accounts = [
        {"SID": row["SID"]["Value"], "Enabled": row["Enabled"], "PasswordRequired": row["PasswordRequired"]}
        for row in rows
    ]
    found = status(parsed(accounts=accounts), "WIN-ACC-02", "WIN-ACC-03")
    assert found == {"WIN-ACC-02": "fail", "WIN-ACC-03": "pass"}, "its built-in administrator is on"


def test_a_genuine_defender() -> None:
    words = listed(shared_path("data", "windows", "defender", "get-mpcomputerstatus.fl.txt"))
    values = {name: value == "True" for name, value in words.items() if value in ("True", "False")}
    state = parsed(
        defender={**values, "AMRunningMode": "Normal", "AntivirusSignatureAge": int(words["AntivirusSignatureAge"])}
    )
    found = verdicts(state, "WIN-DEF-02", "WIN-DEF-03", "WIN-DEF-04", "WIN-DEF-05", "WIN-DEF-06")
    assert {name: verdict.status for name, verdict in found.items()} == {
        "WIN-DEF-02": "pass", "WIN-DEF-03": "pass", "WIN-DEF-04": "pass", "WIN-DEF-05": "pass", "WIN-DEF-06": "unknown",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([397568], "pass"),
        ([266240, 393472], "pass"),
        ([393472], "fail"),
        ([397584], "fail"),
        ([], "fail"),
        ([274432], "fail"),
        ([331776], "pass"),
    ],
    ids=["Defender", "another, Defender off", "Defender off", "out of date", "none", "expired", "another"],
)
def test_an_antivirus_guards_when_its_state_says_so(states: list[int], expected: str) -> None:
    (genuine,) = json.loads(capture("defender", "securitycenter2.defender-only.json"))["antiVirus"]
    assert genuine["productState"] == 397568
    state = parsed(
        antivirus=[genuine | {"productState": number} for number in states], version=version("win11-24h2-enterprise")
    )
    assert status(state, "WIN-DEF-01") == {"WIN-DEF-01": expected}


def test_flags_of_a_defender_that_is_not_in_charge_say_nothing() -> None:
    words = {"RealTimeProtectionEnabled": True, "AntivirusSignatureAge": 0}
    for mode, expected in (
        ("Normal", "pass"),
        ("EDR Block Mode", "pass"),
        ("Passive Mode", "not applicable"),
        ("Not running", "not applicable"),
    ):
        assert status(parsed(defender=words | {"AMRunningMode": mode}), "WIN-DEF-02") == {"WIN-DEF-02": expected}


def test_a_program_of_endpoint_detection_counts_only_while_it_runs() -> None:
    for running, expected in (("Running", "pass"), ("Stopped", "fail")):
        state = parsed(services=[{"Name": "Sense", "State": running, "StartMode": "Manual"}])
        assert status(state, "WIN-DEF-12") == {"WIN-DEF-12": expected}


def test_protectors_of_a_volume_come_alone_or_as_a_list() -> None:
    several = json.loads(capture("bitlocker", "keyprotectors-array.ps51.fleet.json"))
    alone = json.loads(capture("bitlocker", "keyprotectors-single.ps51.fleet.json"))
    volume = {"MountPoint": "C:", "VolumeType": 0, "VolumeStatus": 1, "ProtectionStatus": 1, "EncryptionMethod": 7}
    for protectors, expected in ((several, "compliant"), (alone, "missing_protectors")):
        state = parsed(bitlocker={**volume, "KeyProtector": protectors})
        assert [one["verdict"] for one in state.sections["bitlocker"]] == [expected]


# Words of an English `manage-bde -status`, as the numbers of the cmdlets, which are the same in every language.
WORDS = {"Conversion Status": ("VolumeStatus", {"Used Space Only Encrypted": 1, "Encryption in Progress": 2}),
         "Protection Status": ("ProtectionStatus", {"Protection Off": 0, "Protection On": 1}),
         "Encryption Method": ("EncryptionMethod", {"XTS-AES 128": 6})}  # fmt: skip


@pytest.mark.parametrize(("name", "verdict"), [("clear-key", "clear_key"), ("in-progress", "encrypting")])
def test_volumes_of_which_a_console_told(name: str, verdict: str) -> None:
    told = dict(re.findall(r"(?m)^ *([\w ]+): +(.*?) *$", capture("bitlocker", f"manage-bde-status.{name}.txt")))
    volume: dict[str, Any] = {key: numbers[told[word]] for word, (key, numbers) in WORDS.items() if word in told}
    kinds = {"Password": 8, "Numerical Password": 3}
    keys = re.findall(r"(?m)^ {8}(\w.*?) *$", capture("bitlocker", f"manage-bde-status.{name}.txt"))
    volume |= {"MountPoint": "C:", "VolumeType": 0, "KeyProtector": [{"KeyProtectorType": kinds[one]} for one in keys]}
    state = parsed(bitlocker=volume)
    assert [one["verdict"] for one in state.sections["bitlocker"]] == [verdict]


def test_the_volumes_of_a_genuine_desktop() -> None:
    """Of WMI, which does not name protectors: without any, and with right ones."""
    rows = [row["volume"] | row["conversionStatus"] | row["lockStatus"]
            for row in json.loads(capture("bitlocker", "win32_encryptablevolume.mondoo-desktop.json"))]  # fmt: skip
    for kinds, system in (([], "missing_protectors"), ([1, 3], "weak_method")):
        keys = [{"KeyProtectorType": kind} for kind in kinds]
        state = parsed(bitlocker=[
            {**row, "MountPoint": row["DriveLetter"], "VolumeType": min(row["VolumeType"], 1), "VolumeStatus": row["ConversionStatus"],
             "KeyProtector": keys if row["ConversionStatus"] else []} for row in rows])  # fmt: skip
        assert [(one["volume"], one["verdict"]) for one in state.sections["bitlocker"]] == [
            ("C:", system),
            ("E:", "clear"),
        ]


def test_a_genuine_list_of_listening_sockets() -> None:
    rows = json.loads(capture("firewall", "get-nettcpconnection.ps51.json"))
    assert [row["State"] for row in rows] == [2], "2 is Listen"
    ids = ("WIN-FWL-10", "WIN-FWL-11")
    assert status(parsed(listeners=rows), *ids) == dict.fromkeys(ids, "pass")
    for port, wrong in ((11434, "WIN-FWL-10"), (2375, "WIN-FWL-11")):
        moved = [row | {"LocalPort": port} for row in rows]
        assert status(parsed(listeners=moved), *ids) == dict.fromkeys(ids, "pass") | {wrong: "fail"}


def test_something_else_is_no_state() -> None:
    with pytest.raises(StateError, match="no state of a Windows PC"):
        State.parse(json.loads(capture("windows", "get-service.ps51.json")))
