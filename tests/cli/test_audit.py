"""`citadelle audit windows`: a saved state judged without its PC."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.conftest import Command
from tests.conftest import ROOT
from tests.hardening.states import capture, french_profiles, services, version

KEY = r"HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System!EnableLUA"


@pytest.fixture
def audit(command: Command, tmp_path: Path) -> Any:
    """Judge a raw state by a table of one control, or by words of the command's own."""

    def run(raw: Any, *words: str, controls: str = "") -> Any:
        state = tmp_path / "pc1.json"
        state.write_text(raw if isinstance(raw, str) else json.dumps(raw))
        if controls:
            table = yaml.safe_load((ROOT / "policies/windows.yaml").read_text())["controls"]
            chosen = [control for control in table if control["id"] in controls.split()]
            (tmp_path / "table.yaml").write_text(yaml.safe_dump({"controls": chosen}, allow_unicode=True))
            words = (*words, "--controls", str(tmp_path / "table.yaml"))
        return command("audit", "windows", str(state), *words)

    return run


def raw(**sections: Any) -> dict[str, Any]:
    return {"format": 1, "sections": sections, "registry": {KEY: 1}, "errors": {}}


def test_a_right_pc(audit: Any) -> None:
    said = audit(raw(), controls="WIN-UAC-01")
    assert (said.code, said.out, said.err) == (0, "pc1: 1 controls: 1 pass\n", "")


@pytest.mark.lab
def test_a_deviation_is_said_in_either_language(audit: Any) -> None:
    wrong = raw() | {"registry": {KEY: 0}}
    said = audit(wrong, controls="WIN-UAC-01")
    assert said.code == 1
    assert said.out == "pc1: fail: WIN-UAC-01 User account control is on: found 0, wanted 1\npc1: 1 controls: 1 fail\n"
    assert "Le contrôle de compte d’utilisateur est actif" in audit(wrong, "--french", controls="WIN-UAC-01").out


def test_what_is_unknown_is_not_right(audit: Any) -> None:
    said = audit(raw() | {"registry": {}}, controls="WIN-UAC-01")
    assert (said.code, said.out.splitlines()[0]) == (
        1,
        f"pc1: unknown: WIN-UAC-01 User account control is on (not in this state: {KEY})",
    )


@pytest.mark.lab
def test_what_is_accepted_is_right_until_its_day(audit: Any, tmp_path: Path) -> None:
    for days, code in ((1, 0), (-1, 1)):
        waiver = {"control": "WIN-UAC-01", "host": "paris-*", "reason": "until the scanner is gone",
                  "expires": date.today() + timedelta(days=days), "accepted_by": "CISO"}  # fmt: skip
        (tmp_path / "waivers.yaml").write_text(yaml.safe_dump({"windows": [waiver]}))
        words = ("--waivers", str(tmp_path / "waivers.yaml"), "--host", "paris-7")
        assert audit(raw() | {"registry": {KEY: 0}}, *words, controls="WIN-UAC-01").code == code


def test_json_for_programs(audit: Any) -> None:
    device = {"Name": "Intel(R) AI Boost", "InstanceId": r"PCI\VEN_8086&DEV_7D1D", "Status": "OK"}
    card = {"Name": "NVIDIA GeForce RTX 4070", "InstanceId": r"PCI\VEN_10DE&DEV_2786", "Driver": "32.0"}
    said = audit(raw(npus=[device], gpus=[card, device]), "--json", controls="WIN-UAC-01")
    found = json.loads(said.out)
    assert (said.code, found["host"]) == (0, "pc1")
    assert {name: found["controls"][0][name] for name in ("id", "status", "found", "wanted", "severity")} == {
        "id": "WIN-UAC-01", "status": "pass", "found": "1", "wanted": "1", "severity": "critical",
    }  # fmt: skip
    assert [(one["kind"], one["vendor"], one["use"]) for one in found["accelerators"]] == [
        ("npu", "Intel", "usable by a program of Windows only, not from WSL 2"),
        ("gpu", "NVIDIA", "usable from WSL 2 through CUDA, with NVIDIA's driver for Windows"),
    ]


def test_captures_of_genuine_windows_in_french_and_english(audit: Any) -> None:
    """Same sections, one firewall from a French PC and one from an English one: the same verdicts."""
    common = {"version": version("win11-24h2-enterprise"), "services": services(),
              "audit_policy": capture("policy", "audit.csv.nsa-gpo.csv"),
              "security_policy": capture("policy", "secedit-export.en.mondoo.inf")}  # fmt: skip
    english = [
        {"Name": profile["Name"], "Enabled": profile["Enabled"]}
        for profile in json.loads(capture("firewall", "get-netfirewallprofile.convertto-json.json"))
    ]
    answers = []
    for profiles in (english, french_profiles()):
        said = audit(raw(firewall_profiles=profiles, **common), "--json")
        assert said.code == 1
        answers.append({row["id"]: row["status"] for row in json.loads(said.out)["controls"]})
    assert answers[0] == answers[1]
    assert {answers[0][name] for name in ("WIN-FWL-01", "WIN-PLT-01", "WIN-PWD-03", "WIN-AUD-01")} == {"pass"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("not JSON", "no JSON: "),
        ("[1]", "no state of a Windows PC in format 1"),
        ('{"format": 9}', "no state of a Windows PC in format 1"),
    ],
)
def test_something_else_is_wrong_use(audit: Any, text: str, told: str) -> None:
    said = audit(text)
    assert (said.code, said.out) == (2, "")
    assert told in said.err
    assert "hint: set hardening_states to a folder" in said.err


def test_an_absent_file_or_a_wrong_table_is_wrong_use(audit: Any, command: Command, tmp_path: Path) -> None:
    said = command("audit", "windows", str(tmp_path / "none.json"))
    assert (said.code, "No such file" in said.err) == (2, True)
    said = audit(raw(), "--controls", str(tmp_path / "none.yaml"))
    assert said.code == 2
    assert "none.yaml: cannot be read" in said.err
