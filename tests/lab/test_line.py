"""The firewall of a Windows PC cuts the genuine line of its controller: the PC comes back by itself, and a right value then converges."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.lab.conftest import Read
from tests.lab.pcs import exec_in_pc
from tests.lab.rollout import rollout
from tests.lab.state import Pc

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("converged")]

STATE = "/var/lib/windows-double/state.json"
# Somebody's rule, made while the firewall was off: it does nothing until the firewall is on again.
SLEEPING = {
    "DisplayName": "No SSH", "Description": "", "DisplayGroup": None, "Group": None, "Enabled": "True", "Profile": "Any",
    "Direction": "Inbound", "Action": "Block", "EdgeTraversalPolicy": "Block", "Owner": None, "Protocol": "TCP", "LocalPort": ["22"],
    "RemotePort": ["Any"], "LocalAddress": ["Any"], "RemoteAddress": ["Any"], "Program": "Any", "Service": "Any",
    "InterfaceType": "Any", "InterfaceAlias": ["Any"], "IcmpType": ["Any"],
}  # fmt: skip


def firewall(pc: Pc, read: Read) -> dict[str, Any]:
    """Past SSH and our own facts."""
    found: dict[str, Any] = json.loads(read(pc, f"cat {STATE}"))["firewall"]
    return found


def write(pc: Pc, read: Read, control: Callable[..., str], **values: Any) -> None:
    """Some of the firewall's state, brought into force."""
    content = json.loads(read(pc, f"cat {STATE}"))
    content["firewall"] |= values
    done = exec_in_pc(pc.name, ["sh", "-c", f"cat >{STATE}"], stdin=json.dumps(content).encode())
    assert done.returncode == 0
    control("firewall")


def test_a_rule_that_wakes_up_cuts_the_line_and_the_pc_comes_back(
    windows: Pc, read: Read, control: Callable[..., str], other_inventory: Callable[..., str]
) -> None:
    before = firewall(windows, read)
    off = {name: {**profile, "Enabled": "False"} for name, profile in before["profiles"].items()}
    wrong = {"profiles": off, "rules": {**before["rules"], "No-SSH": SLEEPING}}
    try:
        write(windows, read, control, **wrong)
        run = rollout("--limit", "windows", inventory=other_inventory(pc1={"line_seconds": 60}))
        assert run.code == 1
        told = (
            "@windows/pc1: the change of firewall and SSH server cut the line, and the host has gone back by itself: "
        )
        # Nobody got in, or the question that was on its way then was answered only when the line was back.
        assert re.search(re.escape(told) + r"(unreachable: |no answer for \d{2,} s$)", run.text, re.MULTILINE), run.text
        assert "hint: compare the line_* settings with the PC" in run.text
        found = firewall(windows, read)
        assert (found["profiles"], found["rules"]) == (wrong["profiles"], wrong["rules"])
        assert json.loads(read(windows, f"cat {STATE}"))["tasks"].get("\\citadelle-rollback") is None
        assert read(windows, "ls '/C:/Program Files/citadelle' 2>/dev/null || true").strip() == ""

        write(windows, read, control, rules=before["rules"])
        again = rollout("--limit", "windows")
        assert again.code == 0, again.text
        assert firewall(windows, read) == before
    finally:
        write(windows, read, control, **{name: before[name] for name in ("profiles", "rules")})
    assert rollout("--limit", "windows").changed_nothing


def test_what_is_not_let_in_is_dropped_by_the_packet_filter(windows: Pc, read: Read) -> None:
    rules = read(windows, "nft list table inet windows_double")
    assert "tcp dport 11434 drop" in rules
    assert f"ip saddr {windows.address.rpartition('.')[0]}.0/24 tcp dport 22 accept" in rules
    assert rules.split("\n")[-4].strip() == "drop", rules
