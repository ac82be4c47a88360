"""Evidence of second factors and of LAPS through the genuine engine: each state that proves, and each that does not; one PowerShell."""

from __future__ import annotations

import json
from typing import Any

import pytest

from citadelle.facts.hardening import Hardening
from tests.hardening.states import verdicts
from tests.windows_double.conftest import Double
from tests.windows_double.looks import only
from tests.windows_double.test_hardening import change_state, windows  # noqa: F401  (a fixture)
from tests.windows_double.test_hardening_table import Pc, put

pytestmark = pytest.mark.lab

LOOK = only(("version", "computer", "laps", "mfa", "sshd", "ssh_keys"))
JOIN = r"HKLM:\SYSTEM\CurrentControlSet\Control\CloudDomainJoin\JoinInfo\4AD2"
HELLO = r"HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Authentication\Credential Providers\{D6886603-9D2F-4EB2-B667-1971041FA96B}"
CSP, GPO, OLD = (
    rf"HKLM:\SOFTWARE\Microsoft\{place}"
    for place in (r"Policies\LAPS", r"Windows\CurrentVersion\Policies\LAPS", r"Windows\CurrentVersion\LAPS\Config")
)
SYSTEM = r"HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System"
KEYS = "C:\\ProgramData\\ssh\\administrators_authorized_keys"
SK, ECDSA_SK, PLAIN = (
    f"{kind} {'A' * 68} operator"
    for kind in ("sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com", "ssh-ed25519")
)
NOTHING = "nothing forces Hello or a smart card; Hello is enrolled for {} accounts, {}; conditional access is not seen from here"
ALONE = NOTHING.format(0, "NgcSet NO, AzureAdJoined NO, AzureAdPrt NO")
JOINED = NOTHING.format(1, "NgcSet YES, AzureAdJoined YES, AzureAdPrt YES")
YES = dict.fromkeys(("AzureAdJoined", "NgcSet", "AzureAdPrt"), "YES")
WORKGROUP = "a PC of a workgroup has nobody to keep the password"
NO_KEY = "no key of an administrator is in administrators_authorized_keys"
NO_PIN = "each key is on a security key, but nothing asks for its PIN: verify-required"
# What becomes so, one after the other on the same PC: registry, state or keys; then what is said of each control, and why.
STEPS: list[tuple[dict[str, Any], dict[str, tuple[str, str]]]] = [
    ({}, {"WIN-MFA-01": ("unknown", ALONE), "WIN-MFA-02": ("unknown", NO_KEY), "WIN-UPD-05": ("not applicable", WORKGROUP)}),
    ({"state": {"dsregcmd": YES}, JOIN + "!TenantId": "x", HELLO + r"\S-1-12-1-1!LogonCredsAvailable": 1,
      HELLO + r"\S-1-12-1-2!LogonCredsAvailable": 0},
     {"WIN-MFA-01": ("unknown", JOINED), "WIN-UPD-05": ("fail", "0")}),
    ({OLD + "!BackupDirectory": 2}, {"WIN-UPD-05": ("pass", "2")}),
    ({GPO + "!PasswordAgeDays": 30}, {"WIN-UPD-05": ("fail", "0")}),
    ({CSP + "!BackupDirectory": 1}, {"WIN-UPD-05": ("pass", "1")}),
    ({SYSTEM + "!ScForceOption": 1}, {"WIN-MFA-01": ("pass", "yes")}),
    ({"keys": [SK, ECDSA_SK]}, {"WIN-MFA-02": ("unknown", NO_PIN)}),
    ({"keys": [f"verify-required {SK}", f"no-pty,verify-required {ECDSA_SK}"]}, {"WIN-MFA-02": ("pass", "yes")}),
    ({"keys": [f"verify-required {SK}", PLAIN]}, {"WIN-MFA-02": ("fail", "no")}),
    ({"keys": [SK], "sshd": "PubkeyAuthOptions verify-required"}, {"WIN-MFA-02": ("pass", "yes")}),
]  # fmt: skip


def become(pc: Double, values: dict[str, Any]) -> None:
    """Let these be so, past the double's own code."""
    registry = json.loads((pc.home / "registry.json").read_text("utf-8-sig"))
    for target, value in values.items():
        if "!" in target:
            put(registry, target, value)
    (pc.home / "registry.json").write_text(json.dumps(registry))
    change_state(pc, **values.get("state", {}))
    if "keys" in values:
        pc.path(KEYS).write_text("".join(f"{line}\r\n" for line in values["keys"]), newline="")
    if "sshd" in values:
        config = pc.path(KEYS).with_name("sshd_config")
        config.write_bytes(values["sshd"].encode() + b"\r\n" + config.read_bytes())


def test_a_second_factor_and_laps_are_right_when_they_are_proven_and_never_else(windows: Double) -> None:  # noqa: F811
    windows.control("language", "fr")
    pc = Pc(windows)
    now: dict[str, tuple[str, str]] = {}
    for values, said in STEPS:
        become(windows, values)
        answer = pc.run(LOOK)
        assert (answer["code"], answer["error"]) == (0, None)
        state = Hardening().process(answer["out"])
        assert state.errors == {}
        now |= said
        found = verdicts(state, *now)
        assert {name: (one.status, one.why or one.found) for name, one in found.items()} == now, values
    pc.close()
