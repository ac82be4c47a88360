"""The look at a Windows PC and what sets its controls, run by the genuine engine, judged by the table of the repository."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest

from citadelle import powershell
from citadelle.facts.hardening import Hardening
from citadelle.hardening.judge import Verdict
from citadelle.hardening.state import State
from citadelle.operations.hardening import Change, changes, script
from tests.hardening.states import TABLE, capture, verdicts
from tests.lab.powershell import Engine
from tests.windows_double.conftest import Double, replace_program

pytestmark = pytest.mark.lab

AUDIT = "{0CCE923F-69AE-11D9-BED3-505054503030}"
LOOK = Hardening().command(values=TABLE.registry_values)


@pytest.fixture
def windows(double: Double, engine: Engine) -> Double:
    """A fresh Windows, with the personality that it has in the lab."""
    double.engine, double.plain = str(engine.folder), engine.personality != "powershell.exe"
    return double


def run(double: Double, *scripts: str) -> list[dict[str, Any]]:
    """The loop's answers to some scripts, in one PowerShell, as the connector asks it."""
    said = double.ask(powershell.START, b"".join(map(powershell.request, scripts)))
    answers = [json.loads(base64.b64decode(found[1])) for found in powershell.ANSWER.finditer(said.out)]
    assert len(answers) == 1 + len(scripts), said.err
    return answers[1:]


def state_of(answer: dict[str, Any]) -> State:
    """The state in an answer that must be right."""
    assert (answer["code"], answer["error"]) == (0, None)
    state = Hardening().process(answer["out"])
    assert isinstance(state, State)
    return state


def look(double: Double) -> State:
    """The PC's state."""
    return state_of(run(double, LOOK)[0])


def change_state(double: Double, **values: Any) -> None:
    """Write some of the double's state past its own code."""
    (double.home / "state.json").write_text(json.dumps(double.state | values))


def statuses(found: dict[str, Verdict]) -> dict[str, str]:
    return {name: verdict.status for name, verdict in found.items()}


def test_a_fresh_windows_has_no_query_that_fails(windows: Double) -> None:
    state = look(windows)
    assert state.errors == {}
    assert set(state.registry) == set(TABLE.registry_values)
    # Evidence that a fresh PC cannot have: nobody has forced a second factor, nothing has searched for updates, or hands events over.
    unproven = {f"WIN-{name}" for name in ("LOG-08", "MFA-01", "MFA-02", "UPD-06", "UPD-07", "UPD-08")}
    assert {verdict.control.id for verdict in verdicts(state).values() if verdict.status == "unknown"} == unproven
    assert windows.starts("powershell.exe") == 1


def captured(double: Double) -> None:
    """What genuine PCs showed of volumes, rules and distributions, laid into the double, which began as other captures say."""
    first = double.state["bitlocker"]["C:"]
    rows = re.findall(
        r"(?m)^(\w+) +(\w:) +[\d.]+ (\w+) +(\d+) +\{(.*?)[.}]", capture("bitlocker", "get-bitlockervolume.table.txt")
    )
    kinds = {"RecoveryPassword": "RecoveryPassword", "Pas": "Password", "Tpm": "Tpm"}
    volumes = {
        letter: first | {"VolumeType": kind, "VolumeStatus": status, "EncryptionPercentage": int(done), "KeyProtector": [
            {"KeyProtectorId": f"{{{at:08}}}", "KeyProtectorType": kinds[one]} for at, one in enumerate(keys.split(", ")) if one
        ]} for kind, letter, status, done, keys in rows
    }  # fmt: skip
    (other,) = [
        rule for rule in json.loads(capture("firewall", "get-netfirewallrule.openssh.json")) if rule["Name"] == "sshd"
    ]
    firewall = double.state["firewall"]
    named = {name: other[name] for name in ("DisplayName", "Description", "DisplayGroup", "Group")}
    assert (other["Enabled"], other["Direction"], other["Action"], other["Profile"]) == (1, 1, 2, 0)
    firewall["rules"]["sshd"] = firewall["rules"]["OpenSSH-Server-In-TCP"] | named
    sophos = {"displayName": "Sophos Endpoint", "productState": 266240}
    change_state(double, bitlocker=volumes, firewall=firewall, firewall_products=[sophos])
    registry = json.loads((double.home / "registry.json").read_text("utf-8-sig"))
    version = dict(re.findall(r"(?m)^[* ] (\S+) +\w+ +(\d)", capture("wsl", "list-verbose.docker14686.txt")))
    user = "HKEY_USERS\\S-1-5-21-1-2-3-1001\\Software\\Microsoft\\Windows\\CurrentVersion\\Lxss"
    for row in capture("wsl", "lxss-registry.docker14686.txt").splitlines()[2:]:
        name, state, shown = row.split()
        flags = 15 if version[name] == "2" else 7
        registry[f"{user}\\{{{name}}}"] = {
            "DistributionName": name,
            "State": int(state),
            "Version": int(shown),
            "Flags": flags,
        }
    msi = "HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Lxss\\MSI"
    registry[msi] = {"Version": re.findall(r"WSL version: (\S+)", capture("wsl", "wsl-version.en.2.0.9.txt"))[0]}
    (double.home / "registry.json").write_text(json.dumps(registry))


def test_genuine_pcs_are_starts_and_a_french_one_gets_the_verdicts_of_an_english_one(windows: Double) -> None:
    captured(windows)
    english = look(windows)
    windows.control("language", "fr")
    french = look(windows)
    assert (english.sections["session"]["language"], french.sections["session"]["language"]) == ("en-US", "fr-FR")
    found = verdicts(french)
    assert {name: (one.status, one.found) for name, one in found.items()} == {
        name: (one.status, one.found) for name, one in verdicts(english).items()
    }
    assert {name: found[name].found for name in found if found[name].status == "fail"}.items() >= {
        "WIN-BIT-01": "volume=C: verdict=hardware_test",
        "WIN-BIT-02": "volume=D: verdict=encrypting, volume=E: verdict=clear, volume=F: verdict=clear, volume=G: verdict=clear",
        "WIN-FWL-08": "Name=OpenSSH-Server-In-TCP LocalAddress=Any RemoteAddress=Any",
        "WIN-FWL-12": "Name=sshd RemoteAddress=Any",
        "WIN-FWL-13": "Name=Sophos Endpoint active=yes current=yes",
        "WIN-WSL-13": "2.0.9.0",
        "WIN-WSL-14": "DistributionName=Legacy Flags=7, DistributionName=Ubuntu-18.04 Flags=7",
    }.items()
    shown = json.loads(capture("mfa", "dsregcmd-status.workgroup.expected.json"))
    said = {name: value for part in shown.values() for name, value in part.items()}
    read = french.sections["mfa"]
    assert {name: read[name] for name in read if name in said} == {
        name: said[name] for name in ("AzureAdJoined", "DomainJoined", "NgcSet", "AzureAdPrt", "SessionIsNotRemote")
    }


def test_a_query_that_fails_is_unknown_by_its_id_and_spoils_nothing_else(windows: Double) -> None:
    before = statuses(verdicts(look(windows)))
    change_state(windows, firewall={**windows.state["firewall"], "hyperv": {}})
    state = look(windows)
    assert set(state.errors) == {"hyperv_firewall"}
    assert state.errors["hyperv_firewall"].startswith(
        "CmdletizationQuery_NotFound_Name,Get-NetFirewallHyperVVMSetting (0x"
    )
    after = statuses(verdicts(state))
    assert {name: status for name, status in after.items() if status != before[name]} == {
        "WIN-HVF-01": "unknown",
        "WIN-HVF-02": "unknown",
    }


def test_no_secret_is_taken_along(windows: Double) -> None:
    canary = "canary-of-a-logon-password"
    key = r"HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Winlogon"
    add = f"Set-ItemProperty -LiteralPath '{key}' -Name DefaultPassword -Value '{canary}'\n"
    add += (
        "Add-BitLockerKeyProtector -MountPoint C: -RecoveryPasswordProtector -WarningAction SilentlyContinue | Out-Null"
    )
    _, answer = run(windows, add, LOOK)
    password = windows.state["bitlocker"]["C:"]["KeyProtector"][0]["RecoveryPassword"]
    assert len(password.split("-")) == 8
    assert canary not in json.dumps(answer)
    assert password not in json.dumps(answer)
    found = verdicts(state_of(answer))
    assert (found["WIN-ACC-07"].status, found["WIN-BIT-01"].found) == ("fail", "volume=C: verdict=clear")


def test_what_deviates_is_set_and_read_again_and_then_nothing_is_left(windows: Double) -> None:
    before = look(windows)
    planned = changes(list(verdicts(before).values()), before)
    assert {change.kind for change in planned} == {"registry", "service", "audit", "account", "rule", "defender"}
    applied, after = run(windows, script(planned, "pc1"), LOOK)
    assert (applied["code"], applied["error"], applied["out"]) == (0, None, [])
    right = state_of(after)
    found = verdicts(right)
    assert {found[change.control].status for change in planned} == {"pass"}
    assert changes(list(found.values()), right) == []
    # Past our own script: what the PC itself keeps.
    assert (
        windows.registry[r"hkey_local_machine\software\policies\microsoft\windows nt\dnsclient"]["EnableMulticast"] == 0
    )
    assert windows.state["services"]["Spooler"] == {
        **windows.state["services"]["Spooler"],
        "StartType": "Disabled",
        "Status": "Stopped",
    }
    policy = windows.state["security"]["System Access"]
    assert (policy["MinimumPasswordLength"], policy["LockoutBadCount"], policy["MaximumPasswordAge"]) == (
        "14",
        "5",
        "42",
    )
    assert list(windows.path(r"C:\Windows\Temp").iterdir()) == []
    assert windows.state["audit"]["{0CCE923F-69AE-11D9-BED3-505054503030}"] == 3
    assert windows.state["audit"]["{0CCE9217-69AE-11D9-BED3-505054503030}"] == 3, "success stays where failure is added"


def test_a_setting_that_the_pc_refuses_is_named_and_the_others_are_set(windows: Double) -> None:
    planned = [
        Change("WIN-SVC-99", "service", "NoSuchService", "Disabled"),
        Change("WIN-SVC-03", "service", "Spooler", "Disabled"),
    ]
    (answer,) = run(windows, script(planned, "pc1"))
    assert (answer["code"], answer["error"]) == (1, None)
    refused, hint = answer["out"]
    assert refused == "pc1: WIN-SVC-99 is not kept: NoSuchService = Disabled (NoServiceFoundForGivenName,Set-Service)"
    assert hint.startswith("hint: a policy of the domain or a program that guards it sets it back")
    assert windows.state["services"]["Spooler"]["StartType"] == "Disabled"


def test_a_setting_that_is_taken_without_a_word_and_not_kept_is_named(windows: Double) -> None:
    replace_program(windows, "auditpol.exe", "*", code=0)
    (answer,) = run(windows, script([Change("WIN-AUD-01", "audit", AUDIT, 3)], "pc1"))
    assert (answer["code"], answer["error"]) == (1, None)
    assert answer["out"][:-1] == [f"pc1: WIN-AUD-01 is not kept: {AUDIT} = 3 (cannot be read again)"]


def test_a_policy_that_another_one_overrides_is_named(windows: Double) -> None:
    replace_program(windows, "secedit.exe", "*/configure*", code=0)
    (answer,) = run(windows, script([Change("WIN-PWD-01", "account", "MinimumPasswordLength", 14)], "pc1"))
    assert (answer["code"], answer["error"]) == (1, None)
    told = "pc1: WIN-PWD-01 is not kept: MinimumPasswordLength = 14 (is 0 after it was set; secedit: exit code 0)"
    assert answer["out"][:-1] == [told]
