"""`citadelle audit linux`: a saved state judged without its host."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.conftest import Command
from tests.conftest import ROOT
from tests.hardening.linux_states import PLATFORM


@pytest.fixture
def audit(command: Command, tmp_path: Path) -> Any:
    """Judge sections of a state by one control of the table, or by the whole."""

    def run(sections: dict[str, Any], *words: str, control: str = "") -> Any:
        state = tmp_path / "srv1.json"
        state.write_text(json.dumps({"format": 1, "system": "linux", "sections": sections, "errors": {}}))
        if control:
            table = yaml.safe_load((ROOT / "policies/linux.yaml").read_text())["controls"]
            chosen = [row for row in table if row["id"] == control]
            (tmp_path / "table.yaml").write_text(yaml.safe_dump({"controls": chosen}, allow_unicode=True))
            words = (*words, "--controls", str(tmp_path / "table.yaml"))
        return command("audit", "linux", str(state), *words)

    return run


def test_a_right_host(audit: Any) -> None:
    said = audit({"platform": PLATFORM, "sshd": {"permitrootlogin": "no"}}, control="LIN-SSH-01")
    assert (said.code, said.out, said.err) == (0, "srv1: 1 controls: 1 pass\n", "")


@pytest.mark.lab
def test_a_deviation_is_said_in_either_language(audit: Any) -> None:
    wrong = {"platform": PLATFORM, "sshd": {"permitrootlogin": "yes"}}
    said = audit(wrong, control="LIN-SSH-01")
    assert said.code == 1
    assert said.out.splitlines()[0] == "srv1: fail: LIN-SSH-01 Root does not log in over SSH: found yes, wanted no"
    assert "Root ne se connecte pas en SSH" in audit(wrong, "--french", control="LIN-SSH-01").out


def test_what_does_not_apply_says_why_and_is_right(audit: Any) -> None:
    said = audit({"platform": PLATFORM | {"kind": "wsl"}}, control="LIN-SSH-01")
    assert said.code == 0
    assert "srv1: not applicable: LIN-SSH-01" in said.out


def test_a_waiver_for_a_group_covers_the_host(audit: Any, tmp_path: Path) -> None:
    waiver = {"control": "LIN-SSH-01", "group": "linux", "reason": "until the old backup is gone", "expires": "2999-12-31",
              "accepted_by": "CISO"}  # fmt: skip
    (tmp_path / "waivers.yaml").write_text(yaml.safe_dump({"linux": [waiver]}))
    wrong = {"platform": PLATFORM, "sshd": {"permitrootlogin": "yes"}}
    assert audit(wrong, "--waivers", str(tmp_path / "waivers.yaml"), control="LIN-SSH-01").code == 0


def test_json_has_every_control(audit: Any) -> None:
    said = audit({"platform": PLATFORM}, "--json")
    found = json.loads(said.out)
    assert (said.code, found["host"]) == (1, "srv1")
    assert {row["status"] for row in found["controls"]} <= {"pass", "unknown", "not applicable"}
    assert len(found["controls"]) > 200


def test_a_state_of_windows_is_wrong_use(command: Command, tmp_path: Path) -> None:
    state = tmp_path / "pc1.json"
    state.write_text(json.dumps({"format": 1, "sections": {}, "registry": {}, "errors": {}}))
    said = command("audit", "linux", str(state))
    assert (said.code, said.out) == (2, "")
    assert "no state of a Linux host: windows" in said.err
