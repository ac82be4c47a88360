"""The whole deploy against a Windows PC on which ten things are wrong, one in each part: told one by one, gone after one run."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.lab.conftest import Read
from tests.lab.pcs import exec_in_pc
from tests.lab.rollout import citadelle, rollout
from tests.lab.state import Pc
from tests.lab.test_wsl_owner import edit, load

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("converged")]

LSA = "HKEY_LOCAL_MACHINE\\\\SYSTEM\\\\CurrentControlSet\\\\Control\\\\Lsa"
CONFIG = "/C:/ProgramData/ssh/sshd_config"
# In the double's own record `s`: what is made wrong, and the controls that say so.
WRONG = {
    "WIN-PWD-01": "s['security']['System Access']['MinimumPasswordLength'] = '8'",
    "WIN-AUD-10": "s['audit']['{0CCE9215-69AE-11D9-BED3-505054503030}'] = 0",
    "WIN-BIT-01": "s['bitlocker']['C:']['ProtectionStatus'] = 'Off'",
    "WIN-DEF-07": "s['defender_preferences']['PUAProtection'] = 0",
    "WIN-FWL-03": "s['firewall']['profiles']['Private']['LogBlocked'] = 'False'",
    "WIN-FWL-08": "s['firewall']['rules']['OpenSSH-Server-In-TCP']['RemoteAddress'] = ['0.0.0.0/0']",
    "WIN-HVF-05": "s['firewall']['hyperv_rules'].clear()",
    "WIN-SVC-03": "s['services']['Spooler'].update(StartType='Automatic', Status='Running')",
}
VOLATILE = ("booted", "tasks")  # times, and what ran when


def whole(value: Any) -> Any:
    """A value as the registry's file has it in short, in its whole form."""
    kinds = {int: "DWord", str: "String", list: "MultiString"}
    return {"kind": kinds[type(value)], "value": value} if type(value) in kinds else value


def records(pc: Pc, read: Read) -> dict[str, Any]:
    """All that the double keeps, without times; a key of the registry that holds no value is no setting."""
    state = {name: value for name, value in load(pc, read).items() if name not in VOLATILE}
    found = load(pc, read, "registry.json")
    registry = {key: {name: whole(value) for name, value in values.items()} for key, values in found.items() if values}
    return {"state": state, "registry": registry, "sshd": read(pc, f"cat {CONFIG}")}


def differences(one: Any, other: Any, place: str = "") -> dict[str, Any]:
    """Where two records are not the same, and what stands there in each."""
    if isinstance(one, dict) and isinstance(other, dict):
        names = one.keys() | other.keys()
        found = [differences(one.get(name), other.get(name), f"{place}/{name}") for name in sorted(names)]
        return {where: both for each in found for where, both in each.items()}
    return {} if one == other else {place: (one, other)}


def told(text: str) -> list[str]:
    return sorted(re.findall(r"@windows/pc1: (?:fail|unknown): (WIN-\w+-\d+) ", text))


def test_ten_deviations_across_the_roles_are_ten_lines_and_gone_after_one_run(
    windows: Pc, read: Read, control: Callable[..., str], other_inventory: Callable[..., str], tmp_path: Path
) -> None:
    before = records(windows, read)
    edit(windows, "\n".join(WRONG.values()))
    edit(windows, f"s['{LSA}']['LmCompatibilityLevel'] = 1", "registry.json")
    wrong = before["sshd"].replace("PasswordAuthentication no", "PasswordAuthentication yes")
    assert exec_in_pc(windows.name, ["sh", "-c", f"cat > {CONFIG}"], stdin=wrong.encode()).returncode == 0
    control("sshd")
    deviating = records(windows, read)
    saved = other_inventory(pc1={"hardening_states": str(tmp_path / "states")})
    dry = rollout("--dry", "--limit", "windows", inventory=saved)
    assert dry.code == 0, dry.text
    ten = sorted([*WRONG, "WIN-LSA-02", "WIN-SSH-02"])
    assert told(dry.text) == ten
    file = tmp_path / "states/pc1.json"
    assert file.stat().st_mode & 0o777 == 0o600
    judged = citadelle("audit", "windows", str(file), "--waivers", "tests/lab/waivers.yaml", "--json")
    rows = json.loads(judged.stdout)["controls"]
    assert sorted(row["id"] for row in rows if row["status"] in {"fail", "unknown"}) == ten
    assert judged.returncode == 1
    assert records(windows, read) == deviating, "a dry run sets nothing"
    run = rollout("--limit", "windows")
    assert run.code == 0, run.text
    again = rollout("--limit", "windows")
    assert again.changed_nothing, again.text
    assert told(again.text) == []
    assert differences(before, records(windows, read)) == {}
