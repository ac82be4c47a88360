"""policies/windows.yaml and the waivers: what they must hold, and that a wrong file is refused by name."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from citadelle.hardening.table import Table, TableError
from citadelle.hardening.waivers import load_waivers
from tests.conftest import ROOT
from tests.hardening.states import TABLE, one

RIGHT: dict[str, Any] = {
    "id": "WIN-TST-01", "title": {"en": "It is right", "fr": "C’est juste"}, "source": ["CIS 1.1"], "severity": "low",
    "judge": {"registry": "HKLM:\\SOFTWARE\\X!Y"}, "wanted": {"equals": 1}, "apply": 1,
}  # fmt: skip


def write(path: Path, **content: Any) -> Path:
    path.write_text(yaml.safe_dump(content, allow_unicode=True))
    return path


def test_the_table_is_whole() -> None:
    groups = Counter(control.id[4:7] for control in TABLE.controls)
    assert set(groups) == {
        "PLT",
        "BIT",
        "FWL",
        "HVF",
        "WSL",
        "PWD",
        "ACC",
        "UAC",
        "LSA",
        "SMB",
        "NET",
        "RDP",
        "DSK",
        "LOG",
        "AUD",
        "SVC",
        "SSH",
        "DEF",
        "ASR",
        "UPD",
        "MFA",
    }
    assert sum(groups.values()) >= 90
    assert all(control.title.en != control.title.fr for control in TABLE.controls if control.id != "WIN-SVC-14")


def test_what_stands_against_the_mission_is_waived_with_its_reason_and_never_set() -> None:
    waived = {control.id for control in TABLE.controls if control.waived}
    assert {source for name in waived for source in one(name).source} >= {
        "CIS 2.2.16", "CIS 2.2.28", "CIS 2.3.10.4", "CIS 5.9", "CIS 5.12", "CIS 18.10.9.2.16",
    }  # fmt: skip
    assert all(one(name).apply is None for name in waived)


def test_nothing_is_set_that_could_lock_anybody_out() -> None:
    """BitLocker's state, single accounts, rights, remote desktop's switch, what WSL and SSH stand on: judged only. The line is guarded."""
    applied = {control.judge.target for control in TABLE.controls if control.apply is not None}
    needed = {"sshd", "LxssManager", "WSLService", "SharedAccess", "iphlpsvc", "hns", "vmcompute", "HvHost", "MpsSvc", "BFE", "Schedule",
              "CryptSvc", "wuauserv", "UsoSvc", "WinDefend", "wscsvc", "bthserv"}  # fmt: skip
    assert not applied & needed
    remote = {"TermService": "remote desktop is in use", "SessionEnv": "remote desktop is in use",
              "UmRdpService": "remote desktop is in use", "WinRM": "its domain may administer it"}  # fmt: skip
    for control in (control for control in TABLE.controls if control.judge.target in remote):
        assert control.when[0].because.startswith(remote[control.judge.target]), "not where somebody comes that way"
    assert not [
        target
        for target in applied
        if target.endswith(("!fDenyTSConnections", "!LocalAccountTokenFilterPolicy", "!DisableDomainCreds"))
    ]
    kinds = {(control.judge.switch or ("",))[0] for control in TABLE.controls if control.apply is not None}
    assert kinds == {"registry", "service", "audit", "account", "defender", "rule", "profile", "hyperv", "directive"}
    assert {control.judge.kind for control in TABLE.controls if control.is_line} == {
        "profile",
        "hyperv",
        "directive",
        "state",
    }


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"id": "WIN-1"}, "controls.0.id"),
        ({"title": {"en": "It is right"}}, "controls.0.title.fr"),
        ({"source": []}, "controls.0.source"),
        ({"severity": "awful"}, "controls.0.severity"),
        ({"judge": {}}, "exactly one place of a value is needed"),
        ({"judge": {"registry": "HKLM:\\X!Y", "service": "x"}}, "exactly one place of a value is needed"),
        ({"judge": {"registry": "C:\\X"}}, "controls.0.judge.registry"),
        ({"judge": {"state": "__class__.__mro__"}}, "controls.0.judge.state"),
        ({"wanted": {"eval": "1"}}, "wanted has no such predicate: eval"),
        ({"wanted": {"equals": 2}}, "what it applies is not what it wants: 1"),
        ({"judge": {"right": "SeDebugPrivilege"}}, "cannot be applied: right"),
        ({"judge": {"profile": "Enabled"}}, "what it applies is not what it wants: 1"),
        (
            {"judge": {"hyperv": "Enabled"}, "wanted": {"every": {"Enabled": {"equals": 2}}}},
            "what it applies is not what it wants: 1",
        ),
        ({"recipe": "magic"}, "controls.0.recipe"),
        (
            {"judge": {"service": "x"}, "wanted": {"one_of": ["Auto"]}, "apply": "Auto"},
            "a service can only be Disabled: Auto",
        ),
        ({"judge": {"audit": "{0CCE9215-69AE-11D9-BED3-505054503030}"}}, "an audited subcategory wants bits"),
        ({"colour": "red"}, "controls.0.colour"),
    ],
)
def test_a_wrong_control_is_refused_by_name(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    assert Table.load(write(tmp_path / "right.yaml", controls=[RIGHT])).registry_values == ["HKLM:\\SOFTWARE\\X!Y"]
    with pytest.raises(TableError) as error:
        Table.load(write(tmp_path / "wrong.yaml", controls=[RIGHT | change]))
    assert told in str(error.value)
    assert str(tmp_path / "wrong.yaml") in str(error.value)


def test_an_id_stands_once(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="ids occur twice: WIN-TST-01"):
        Table.load(write(tmp_path / "twice.yaml", controls=[RIGHT, RIGHT]))


def test_a_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"absent\.yaml: cannot be read"):
        Table.load(tmp_path / "absent.yaml")


def test_the_waivers_of_the_repository() -> None:
    assert load_waivers(ROOT / "policies/waivers.yaml", TABLE) == []


WAIVER = {
    "control": "WIN-UAC-01",
    "host": "pc1",
    "reason": "the scanner needs it",
    "expires": "2026-12-31",
    "accepted_by": "CISO",
}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"control": "WIN-NIX-01"}, "waivers of controls that do not exist: WIN-NIX-01"),
        ({"host": ""}, "host or group is needed"),
        ({"group": "paris"}, "host or group is needed"),
        ({"reason": "x"}, "at least 10 characters"),
        ({"expires": "soon"}, "valid date"),
        ({"accepted_by": ""}, "at least 3 characters"),
    ],
)
def test_a_wrong_waiver_is_refused(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    (right,) = load_waivers(write(tmp_path / "right.yaml", windows=[WAIVER]), TABLE)
    assert right.covers("@windows/pc1", [])
    with pytest.raises(TableError, match=told):
        load_waivers(write(tmp_path / "wrong.yaml", windows=[WAIVER | change]), TABLE)
