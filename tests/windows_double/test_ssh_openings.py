"""Rules of any name that open SSH's port, in the genuine engine: which are seen, turned off, refused; one PowerShell."""

from __future__ import annotations

from typing import Any

import pytest

from citadelle.operations.line import Change, parts
from tests.hardening.states import verdicts
from tests.windows_double.conftest import Double
from tests.windows_double.test_hardening import LOOK, change_state, run, state_of, windows  # noqa: F401  (a fixture)

pytestmark = pytest.mark.lab

WIDE = {"LocalPort": ["2222"], "Protocol": "TCP"}
SEEN: dict[str, dict[str, Any]] = {
    "port": {},
    "range": {"LocalPort": ["80", "2000-3000"]},
    "every port": {"LocalPort": ["Any"]},
    "every protocol": {"LocalPort": ["Any"], "Protocol": "Any"},
    "by number": {"Protocol": "6"},
    "its program": {"LocalPort": ["Any"], "Program": "C:\\Windows\\System32\\OpenSSH\\sshd.exe"},
    "its service": {"Service": "sshd"},
    "policy": {"PolicyStoreSource": "Company: servers"},
    "named": {"RemoteAddress": ["192.0.2.0/24"]},
}
UNSEEN: dict[str, dict[str, Any]] = {
    "OpenSSH-Server-In-TCP-2": {},
    "off": {"Enabled": "False"},
    "outbound": {"Direction": "Outbound"},
    "blocking": {"Action": "Block"},
    "other port": {"LocalPort": ["22"]},
    "other range": {"LocalPort": ["80-2221", "2223-65535"]},
    "keyword": {"LocalPort": ["RPC"]},
    "UDP": {"LocalPort": ["Any"], "Protocol": "UDP"},
    "other program": {"LocalPort": ["Any"], "Program": "C:\\Program Files\\app.exe"},
    "application of the store": {"LocalPort": ["Any"], "Package": "S-1-15-2-1"},
    "other service": {"Service": "RemoteAccess"},
}


def rules(pc: Double) -> None:
    """All of them beside what is there; the SSH server listens on a port of its own."""
    firewall = pc.state["firewall"]
    pattern = firewall["rules"]["OpenSSH-Server-In-TCP"] | {"Program": "Any"} | WIDE
    firewall["rules"] |= {name: pattern | values for name, values in {**SEEN, **UNSEEN}.items()}
    change_state(pc, firewall=firewall)
    config = pc.path("C:\\ProgramData\\ssh\\sshd_config")
    config.write_bytes(b"Port 2222\r\n" + config.read_bytes())


def test_whatever_opens_the_port_of_ssh_is_seen_turned_off_and_then_right(windows: Double) -> None:  # noqa: F811
    windows.control("language", "fr")
    rules(windows)
    own = [name for name in SEEN if name not in ("policy", "named")]
    turned_off = parts(Change({"openings": own, "ssh_openings": "WIN-FWL-12"}, ("WIN-FWL-12",))).change
    kept = "function Set-NetFirewallRule { param([string]$Name, $Enabled) }\n"
    looked, refused, made, again = run(windows, LOOK, f"& {{ {kept}{turned_off} }}", turned_off, LOOK)
    before = state_of(looked)
    assert {one["Name"] for one in before.sections["ssh_openings"]} == set(SEEN)
    verdict = verdicts(before)["WIN-FWL-12"]
    assert (verdict.status, verdict.why) == ("fail", "policy is set by a group policy: Company: servers")
    assert (refused["code"], refused["error"]["text"]) == (
        1,
        "WIN-FWL-12: the rule is on after it was turned off: port",
    )
    assert (made["code"], made["error"]) == (0, None)
    assert {one["Name"] for one in state_of(again).sections["ssh_openings"]} == {"policy", "named"}
    kept_rules = windows.state["firewall"]["rules"]
    assert {name: kept_rules[name]["Enabled"] for name in SEEN} == {
        name: "False" if name in own else "True" for name in SEEN
    }
    assert {kept_rules[name]["Enabled"] for name in UNSEEN if name != "off"} == {"True"}
