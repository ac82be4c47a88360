"""Firewall and SSH server made right, over a genuine sshd against the Windows double: read again past the product's own facts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from citadelle.hardening.ssh import BEGIN
from tests.roles.line.conftest import LinePC, Run

pytestmark = pytest.mark.lab
Roll = Callable[..., Run]


@pytest.mark.parametrize("language", ["en", "fr"])
def test_a_fresh_pc_is_made_right_and_then_left_alone(pc: LinePC, roll: Roll, language: str) -> None:
    pc.control("language", language)
    dry = roll("--dry")
    assert (
        "@windows/pc1: fail: WIN-SSH-02 No password is asked over SSH: found yes, wanted no, this run sets it"
        in dry.output
    )
    assert pc.profile()["LogBlocked"] == "False", "a dry run sets nothing"

    first = roll()
    assert first.code == 0, first.output
    firewall = pc.state["firewall"]
    for profile in firewall["profiles"].values():
        assert [profile[name] for name in ("LogBlocked", "LogMaxSizeKilobytes", "NotifyOnListen")] == [
            "True",
            16384,
            "False",
        ]
    rule = firewall["rules"]["OpenSSH-Server-In-TCP"]
    assert (rule["RemoteAddress"], rule["Profile"], rule["Enabled"]) == (["127.0.0.0/8"], "Any", "True")
    block = firewall["rules"]["citadelle-block-engine"]
    assert (block["Action"], block["Direction"], block["LocalPort"], block["Protocol"]) == (
        "Block",
        "Inbound",
        ["11434"],
        "TCP",
    )
    inside = firewall["hyperv_rules"]["citadelle-block-engine"]
    assert (inside["Action"], inside["Direction"], inside["LocalPorts"]) == ("Block", "Inbound", ["11434"])
    text = pc.config.read_bytes()
    assert text.startswith(BEGIN.encode() + b"\r\n")
    assert b"\r\nPasswordAuthentication no\r\n" in text.partition(b"Match ")[0]
    assert b"\r\nAllowUsers root@127.0.0.0/8\r\n" in text
    assert b"\n" not in text.replace(b"\r\n", b"")
    assert (pc.state["tasks"], pc.folder_of_rollback.exists()) == ({}, False), "nothing of the rollback is left"

    starts = pc.starts("powershell.exe")
    second = roll()
    assert second.changed_nothing, second.output
    assert pc.starts("powershell.exe") == starts + 1
    assert not re.search(r"fail: WIN-(FWL|HVF|SSH)", second.output), second.output


DEVIATIONS: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "profile_off": (lambda state: state["firewall"]["profiles"]["Private"].update(Enabled="False"), "WIN-FWL-01"),
    "block_gone": (lambda state: state["firewall"]["rules"].pop("citadelle-block-engine"), "WIN-FWL-07"),
    "block_off": (
        lambda state: state["firewall"]["rules"]["citadelle-block-engine"].update(Enabled="False"),
        "WIN-FWL-07",
    ),
    "ssh_for_all": (
        lambda state: state["firewall"]["rules"]["OpenSSH-Server-In-TCP"].update(RemoteAddress=["Any"]),
        "WIN-FWL-08",
    ),
    "wsl_block_gone": (lambda state: state["firewall"]["hyperv_rules"].clear(), "WIN-HVF-05"),
}
# None of these is in another's way: set right in one run.
TOGETHER: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "inbound_open": (
        lambda state: state["firewall"]["profiles"]["Public"].update(DefaultInboundAction="Allow"),
        "WIN-FWL-02",
    ),
    "log_small": (lambda state: state["firewall"]["profiles"]["Public"].update(LogMaxSizeKilobytes=1024), "WIN-FWL-04"),
    "wsl_open": (lambda state: _wsl(state).update(DefaultInboundAction="Allow"), "WIN-HVF-02"),
    "block_of_one_address": (
        lambda state: state["firewall"]["rules"]["citadelle-block-engine"].update(RemoteAddress=["10.9.9.9"]),
        "WIN-FWL-07",
    ),
    "not_logged": (lambda state: state["firewall"]["profiles"]["Domain"].update(LogBlocked="False"), "WIN-FWL-03"),
    "popping_up": (lambda state: state["firewall"]["profiles"]["Public"].update(NotifyOnListen="True"), "WIN-FWL-05"),
    "wsl_off": (lambda state: _wsl(state).update(Enabled="False"), "WIN-HVF-01"),
    "wsl_block_of_udp": (
        lambda state: state["firewall"]["hyperv_rules"]["citadelle-block-engine"].update(Protocol="UDP"),
        "WIN-HVF-05",
    ),
    "ssh_by_another_rule": (lambda state: state["firewall"]["rules"]["other"].update(Enabled="True"), "WIN-FWL-12"),
    "ssh_for_everywhere": (
        lambda state: state["firewall"]["rules"]["OpenSSH-Server-In-TCP"].update(RemoteAddress=["0.0.0.0/0"]),
        "WIN-FWL-08",
    ),
}


def _wsl(state: dict[str, Any]) -> dict[str, Any]:
    (found,) = state["firewall"]["hyperv"].values()
    return found


def test_each_deviation_is_one_change_and_the_state_as_before(pc: LinePC, roll: Roll) -> None:
    firewall = pc.state["firewall"]
    firewall["rules"]["other"] = firewall["rules"]["OpenSSH-Server-In-TCP"] | {"Program": "Any"}
    pc.change(firewall=firewall)
    assert roll().code == 0
    assert pc.state["firewall"]["rules"]["other"]["Enabled"] == "False"
    right = pc.snapshot
    for deviating in [*([one] for one in DEVIATIONS.values()), [*TOGETHER.values()]]:
        state = pc.state
        for deviate, _ in deviating:
            deviate(state)
        pc.change(firewall=state["firewall"])
        run = roll()
        assert run.code == 0, run.output
        controls = sorted(control for _, control in deviating)
        assert sorted(re.findall(r"fail: (WIN-\w+-\d+) .*this run sets it", run.output)) == controls
        expected = {"Private": "True"} if "WIN-FWL-01" in controls else {}
        assert {name: pc.profile(name)["Enabled"] for name in expected} == expected
        assert _without_words(pc.snapshot) == _without_words(right), controls
    assert roll().changed_nothing


def _without_words(snapshot: dict[str, Any]) -> Any:
    """A value that nobody had configured and one that says the same in words are one."""
    text = json.dumps(
        {**snapshot, "config": snapshot["config"].decode(), "keys": snapshot["keys"].decode()}, sort_keys=True
    )
    for name, word in (("DefaultInboundAction", "Block"), ("Enabled", "True"), ("NotifyOnListen", "False")):
        text = text.replace(f'"{name}": "NotConfigured"', f'"{name}": "{word}"')
    return json.loads(text)


@pytest.mark.parametrize("line", ["PasswordAuthentication yes", "Match User nobody\r\n  PasswordAuthentication yes"])
def test_a_server_that_takes_passwords_again_is_set_right(pc: LinePC, roll: Roll, line: str) -> None:
    assert roll().code == 0
    old = pc.config.read_bytes()
    without = old.replace(b"PasswordAuthentication no\r\n", b"", 1) if line.startswith("Pass") else old
    pc.config.write_bytes(without + line.encode() + b"\r\n")
    pc.control("sshd")
    run = roll()
    assert run.code == 0, run.output
    assert re.findall(r"fail: (WIN-\w+-\d+) .*this run sets it", run.output) == ["WIN-SSH-02"]
    assert b"# replaced by citadelle: PasswordAuthentication yes" in pc.config.read_bytes()
    assert roll().changed_nothing


def test_a_file_of_keys_that_others_can_change_is_closed_by_identifiers(pc: LinePC, roll: Roll) -> None:
    assert roll().code == 0
    pc.ask("icacls C:\\ProgramData\\ssh\\administrators_authorized_keys /grant *S-1-5-32-545:R")
    run = roll()
    assert re.findall(r"fail: (WIN-\w+-\d+) .*this run sets it", run.output) == ["WIN-SSH-20"]
    acl = pc.state["acls"]["c:\\programdata\\ssh\\administrators_authorized_keys"]
    assert {entry["sid"]: entry["rights"] for entry in acl["entries"]} == {"S-1-5-32-544": "(F)", "S-1-5-18": "(F)"}
    assert (acl["inherits"], acl["owner"]) == (False, "S-1-5-32-544")
    assert roll().changed_nothing


def test_a_port_that_leads_to_the_engine_is_forwarded_no_more(pc: LinePC, roll: Roll) -> None:
    pc.ask(
        "netsh interface portproxy add v4tov4 listenport=11434 listenaddress=0.0.0.0 connectport=11434 connectaddress=127.0.0.1"
    )
    pc.ask(
        "netsh interface portproxy add v4tov4 listenport=80 listenaddress=0.0.0.0 connectport=80 connectaddress=127.0.0.1"
    )
    run = roll()
    assert run.code == 0, run.output
    registry = json.loads((pc.home / "registry.json").read_text("utf-8-sig"))
    (left,) = [values for key, values in registry.items() if key.lower().endswith("portproxy\\v4tov4\\tcp")]
    assert left == {"0.0.0.0/80": "127.0.0.1/80"}


def test_a_group_policy_that_overrides_is_told_and_not_fought(pc: LinePC, roll: Roll) -> None:
    registry = json.loads((pc.home / "registry.json").read_text("utf-8-sig"))
    key = "HKEY_LOCAL_MACHINE\\SOFTWARE\\Policies\\Microsoft\\WindowsFirewall\\PublicProfile"
    registry[key] = {
        "EnableFirewall": {"kind": "DWord", "value": 0},
        "AllowLocalPolicyMerge": {"kind": "DWord", "value": 0},
    }
    (pc.home / "registry.json").write_text(json.dumps(registry))
    run = roll()
    assert run.code == 0, run.output
    assert re.search(
        r"WIN-FWL-01 .*\(Public is set by a group policy: HKLM:.*PublicProfile!EnableFirewall\)", run.output
    )
    assert "citadelle-block-engine" not in pc.state["firewall"]["rules"], "it would not count"
    assert roll().changed_nothing


def test_judging_alone_sets_nothing(pc: LinePC, roll: Roll) -> None:
    before = pc.snapshot
    assert roll(line_apply=False).changed_nothing
    assert pc.snapshot == before
