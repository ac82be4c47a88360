"""What a run would change of firewall and SSH server: what is wrong, as far as it may, and what the settings ask for."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from citadelle.hardening import ssh
from citadelle.hardening.judge import judge
from citadelle.hardening.state import State
from citadelle.hardening.waivers import Waiver
from citadelle.operations.line import Admins, Change, change
from tests.hardening.states import TABLE, TODAY

RIGHT_PROFILE = {"Enabled": 1, "DefaultInboundAction": 4, "LogBlocked": 1, "LogMaxSizeKilobytes": 16384, "NotifyOnListen": 0,
                 "AllowLocalFirewallRules": 1}  # fmt: skip
EFFECTIVE = """port 22\npubkeyauthentication yes\npasswordauthentication no\nkbdinteractiveauthentication no
authenticationmethods publickey\npermitemptypasswords no\nmaxauthtries 3\nlogingracetime 30\nallowagentforwarding no
allowtcpforwarding local\ngatewayports no\nx11forwarding no\npermituserenvironment no\nstrictmodes yes\nloglevel VERBOSE
clientaliveinterval 60\nciphers aes256-gcm@openssh.com\nmacs hmac-sha2-256-etm@openssh.com\nkexalgorithms curve25519-sha256"""
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPaddingPaddingPaddingPaddingPaddingPadd admin"
BLOCK = {"Name": "citadelle-block-engine", "LocalPort": ["11434"], "Action": 4, "Direction": 1, "Enabled": 1, "Profile": 0,
         "Protocol": "TCP", "RemoteAddress": ["Any"], "LocalAddress": ["Any"]}  # fmt: skip
BLOCK_WSL = {"Name": "citadelle-block-engine", "LocalPorts": ["11434"], "Action": 4, "Direction": 1, "Enabled": 1, "Protocol": "TCP",
             "RemoteAddresses": ["Any"], "LocalAddresses": ["Any"]}  # fmt: skip
SSH = {"Name": "OpenSSH-Server-In-TCP", "Enabled": 1, "Action": 2, "Profile": 0, "Direction": 1, "LocalPort": ["22"],
       "RemoteAddress": ["10.1.0.0/255.255.0.0"]}  # fmt: skip
NET = Admins("operator", networks=("10.1.0.0/16",))


OTHER = {"Name": "{5A7E}", "LocalPort": ["1-1023"], "RemoteAddress": ["10.1.2.0/255.255.255.0", "10.1.0.1-10.1.0.9"]}


def sections(**other: Any) -> dict[str, Any]:
    """A PC on which everything of the line is right for `NET`."""
    effective = [*EFFECTIVE.splitlines(), "allowusers operator@10.1.0.0/16"]
    return {
        "firewall_profiles": [{"Name": name, **RIGHT_PROFILE} for name in ("Domain", "Private", "Public")],
        "firewall_policy": [], "firewall_rules": [BLOCK, SSH], "ssh_openings": [OTHER], "port_proxies": [],
        "hyperv_firewall": [{"Name": "WSL", "Enabled": 1, "DefaultInboundAction": 4}],
        "hyperv_rules": [BLOCK_WSL],
        "sshd": {"Effective": effective, "Text": ""},
        "ssh_keys": {"Sddl": "O:BAG:SYD:PAI(A;;FA;;;BA)(A;;FA;;;SY)", "Text": KEY},
        "rollback": {"Armed": False, "Begun": False, "Seconds": 0},
        "session": {"Groups": "S-1-16-12288 S-1-5-32-544", "Client": "10.1.2.3"},
        **other,
    }  # fmt: skip


def plan(admins: Admins = NET, waivers: tuple[Waiver, ...] = (), **other: Any) -> Change:
    state = State.parse({"format": 1, "sections": sections(**other)})
    found = judge(state, TABLE, list(waivers), host="@windows/pc1", groups=[], today=TODAY)
    return change(found, state, admins)


def server(*lines: str, text: str = "") -> dict[str, Any]:
    """The section `sshd` with some lines of `sshd -T` in the place of the right ones."""
    names = {line.split()[0] for line in lines}
    right = [
        line for line in [*EFFECTIVE.splitlines(), "allowusers operator@10.1.0.0/16"] if line.split()[0] not in names
    ]
    return {"Effective": [*right, *lines], "Text": text}


def test_a_right_pc_is_left_alone() -> None:
    assert plan() == Change()


def test_what_is_wrong_in_any_profile_is_set() -> None:
    profiles = sections()["firewall_profiles"]
    profiles[2] |= {"Enabled": 0, "LogMaxSizeKilobytes": 4096}
    found = plan(firewall_profiles=profiles)
    assert found.controls == ("WIN-FWL-01", "WIN-FWL-04")
    assert found.values == {"profile_ids": ["WIN-FWL-01", "WIN-FWL-04"], "profile_names": ["Public", "Public"],
                            "profile_properties": ["Enabled", "LogMaxSizeKilobytes"], "profile_values": [1, 16384]}  # fmt: skip


@pytest.mark.parametrize(
    "narrow",
    [
        {"Protocol": "UDP"},
        {"Profile": 1},
        {"RemoteAddress": ["10.9.9.9"]},
        {"LocalAddress": ["10.9.9.9"]},
        {"Enabled": 2},
    ],
)
def test_a_rule_that_blocks_less_than_all_is_made_anew(narrow: dict[str, Any]) -> None:
    found = plan(firewall_rules=[BLOCK | narrow, SSH])
    assert (found.controls, found.values) == (("WIN-FWL-07",), {"block_engine": "WIN-FWL-07", "engine": "11434"})


@pytest.mark.parametrize(
    "narrow", [{"Protocol": "UDP"}, {"RemoteAddresses": ["10.9.9.9"]}, {"LocalAddresses": ["10.9.9.9"]}]
)
def test_so_is_one_inside_wsl(narrow: dict[str, Any]) -> None:
    found = plan(hyperv_rules=[BLOCK_WSL | narrow])
    assert (found.controls, found.values) == (("WIN-HVF-05",), {"block_engine_wsl": "WIN-HVF-05", "engine": "11434"})


@pytest.mark.parametrize(
    ("ports", "status"),
    [
        (["Any"], "fail"),
        ([], "fail"),
        (["11000-12000"], "fail"),
        (["80", "11434"], "fail"),
        (["80", "1-11433", "11435-65535"], "pass"),
    ],
)
def test_whatever_opens_the_engines_port_inside_wsl_is_seen(ports: list[str], status: str) -> None:
    opening = {"Name": "other", "Action": 2, "Direction": 1, "Enabled": 1, "LocalPorts": ports}
    for protocol, wanted in (("TCP", status), ("Any", status), ("UDP", "pass")):
        state = State.parse(
            {"format": 1, "sections": sections(hyperv_rules=[BLOCK_WSL, opening | {"Protocol": protocol}])}
        )
        found = {one.control.id: one.status for one in judge(state, TABLE, [], host="pc1", groups=[], today=TODAY)}
        assert found["WIN-HVF-03"] == wanted, (ports, protocol)


@pytest.mark.parametrize("anywhere", ["Any", "0.0.0.0/0", "::/0", "0.0.0.0-255.255.255.255", "LocalSubnet", "Internet"])
def test_ssh_for_no_named_network_is_set_right(anywhere: str) -> None:
    found = plan(firewall_rules=[BLOCK, SSH | {"RemoteAddress": [anywhere, "10.1.0.0/16"]}])
    assert found.controls == ("WIN-FWL-08",)
    state = State.parse(
        {"format": 1, "sections": sections(firewall_rules=[BLOCK, SSH | {"RemoteAddress": [anywhere]}])}
    )
    verdicts = {one.control.id: one.status for one in judge(state, TABLE, [], host="pc1", groups=[], today=TODAY)}
    assert verdicts["WIN-FWL-08"] == "fail"


def test_a_profile_that_no_policy_sets_is_put_right_beside_one_that_a_policy_does() -> None:
    profiles = sections()["firewall_profiles"]
    for one in profiles[1:]:
        one["Enabled"] = 0
    policy = [{"Profile": "Public", "Property": "Enabled", "Key": "HKLM:\\X!EnableFirewall"}]
    found = plan(firewall_profiles=profiles, firewall_policy=policy)
    assert (found.controls, found.values["profile_names"]) == (("WIN-FWL-01",), ["Private"])


def test_what_a_group_policy_sets_is_told_as_such_and_left_alone() -> None:
    profiles = sections()["firewall_profiles"]
    profiles[2]["Enabled"] = 0
    policy = [{"Profile": "Public", "Property": "Enabled", "Key": "HKLM:\\X!EnableFirewall"}]
    assert plan(firewall_profiles=profiles, firewall_policy=policy) == Change()
    state = State.parse({"format": 1, "sections": sections(firewall_profiles=profiles, firewall_policy=policy)})
    (found,) = [
        one for one in judge(state, TABLE, [], host="x", groups=[], today=TODAY) if one.control.id == "WIN-FWL-01"
    ]
    assert found.line("pc1").endswith("(Public is set by a group policy: HKLM:\\X!EnableFirewall)")


def test_rules_are_not_made_where_a_group_policy_shuts_them_out() -> None:
    profiles = [one | {"AllowLocalFirewallRules": 0} for one in sections()["firewall_profiles"]]
    assert plan(firewall_profiles=profiles, firewall_rules=[]) == Change()
    assert plan(firewall_rules=[]).values == {
        "block_engine": "WIN-FWL-07", "engine": "11434", "ssh_rule": "WIN-FWL-08", "networks": ["10.1.0.0/16"], "ports": ["22"],
    }  # fmt: skip


@pytest.mark.parametrize(
    "wrong", [{"RemoteAddress": ["Any"]}, {"RemoteAddress": ["10.1.0.0/16", "10.2.0.0/16"]}, {"Profile": 2}, {"Enabled": 2}]
)  # fmt: skip
def test_the_rule_of_ssh_is_for_the_networks_of_administration_in_every_profile(wrong: dict[str, Any]) -> None:
    found = plan(firewall_rules=[BLOCK, SSH | wrong])
    assert (found.controls, found.values["networks"]) == (("WIN-FWL-08",), ["10.1.0.0/16"])
    assert plan(Admins("operator"), firewall_rules=[BLOCK, SSH | wrong]) == Change(), "no networks are set"


def test_forwarded_ports_that_lead_to_the_engine_go_and_others_stay() -> None:
    proxies = [
        {"Kind": "v4tov4", "Listen": "0.0.0.0/11434", "Connect": "127.0.0.1/11434"},
        {"Kind": "v4tov6", "Listen": "0.0.0.0/8080", "Connect": "::1/11434"},
        {"Kind": "v4tov4", "Listen": "0.0.0.0/114340", "Connect": "127.0.0.1/80"},
    ]
    assert plan(port_proxies=proxies).values == {
        "port_proxies": "WIN-FWL-09",
        "proxies": ["v4tov4 0.0.0.0/11434 127.0.0.1/11434", "v4tov6 0.0.0.0/8080 ::1/11434"],
    }


def test_the_server_gets_what_is_wrong_and_keeps_what_was_stricter() -> None:
    found = plan(sshd=server("passwordauthentication yes", "maxauthtries 2", text="Port 22\r\n"))
    assert found.controls == ("WIN-SSH-02",)
    assert ssh.block(found.values["sshd"]) == {"PasswordAuthentication": "no"}
    assert found.values["sshd_before"] == "Port 22\r\n"


def test_users_are_allowed_from_the_networks_alone() -> None:
    found = plan(sshd=server("allowusers operator"))
    assert ssh.block(found.values["sshd"]) == {"AllowUsers": "operator@10.1.0.0/16"}
    two = plan(Admins("Operator", ("10.1.0.0/16",), ("Operator", "Second")))
    assert ssh.block(two.values["sshd"])["AllowUsers"] == "operator@10.1.0.0/16 second@10.1.0.0/16"
    owned = plan(Admins("operator", ("10.1.0.0/16",), owner="citadelle-wsl"))
    assert ssh.block(owned.values["sshd"])["AllowUsers"] == "operator@10.1.0.0/16 citadelle-wsl@10.1.0.0/16"
    assert plan(Admins("operator", owner="citadelle-wsl")) == Change(), "who may come is left as the PC has it"
    ours = ssh.edit("", [("AllowUsers", "operator@10.1.0.0/16")])
    gone = plan(Admins("operator"), sshd=server(text=ours))
    assert (gone.controls, gone.values["sshd"]) == (("WIN-SSH-19",), "")


def test_tokens_are_asked_for_only_where_the_settings_say_so() -> None:
    found = plan(Admins("operator", ("10.1.0.0/16",), tokens=True))
    assert found.controls == ("WIN-SSH-22",)
    assert ssh.block(found.values["sshd"])["PubkeyAuthOptions"] == "verify-required"


def test_keys_are_the_given_ones_and_their_file_is_closed() -> None:
    other = KEY.replace("admin", "second")
    found = plan(Admins("operator", ("10.1.0.0/16",), keys=(KEY, other)))
    assert found.values == {"keys": f"{KEY}\r\n{other}\r\n", "access": True, "ssh_keys": "WIN-SSH-21"}
    assert plan(Admins("operator", ("10.1.0.0/16",), keys=(KEY,))) == Change()
    open_file = {"Sddl": "O:BAD:(A;;FA;;;BU)", "Text": KEY}
    assert plan(ssh_keys=open_file).values == {"access": True, "ssh_access": "WIN-SSH-20"}


def test_what_is_waived_is_left_alone() -> None:
    waiver = Waiver(control="WIN-FWL-08", host="pc1", reason="until the VPN is there", accepted_by="CISO",
                    expires=TODAY + timedelta(days=1))  # fmt: skip
    assert plan(firewall_rules=[BLOCK, SSH | {"RemoteAddress": ["Any"]}], waivers=(waiver,)) == Change()


def test_nothing_is_begun_that_would_shut_this_controller_out() -> None:
    outside = plan(Admins("operator", ("10.9.0.0/16",)))
    assert outside.refused == (
        "this controller comes from outside of line_networks: 10.1.2.3",
        "add its network to line_networks",
    )
    other = plan(Admins("operator", ("10.1.0.0/16",), users=("somebody",)))
    assert other.refused == (
        "this controller comes as a user who is not in line_users: operator",
        "add the user to line_users",
    )


@pytest.mark.parametrize(
    ("seconds", "told"), [(45, "goes back by itself in 45 s"), (-600, "should have gone back by itself 600 s ago")]
)
def test_one_change_at_a_time(seconds: int, told: str) -> None:
    found = plan(firewall_rules=[], rollback={"Armed": True, "Begun": True, "Seconds": seconds})
    assert found.refused is not None
    assert told in found.refused[0]
    assert plan(firewall_rules=[], rollback={"Armed": True, "Begun": False, "Seconds": 45}).refused is None
    right = plan(rollback={"Armed": True, "Begun": True, "Seconds": 45})
    assert (right.controls, right.refused is None) == ((), False), "it is right now, and would not stay so"
