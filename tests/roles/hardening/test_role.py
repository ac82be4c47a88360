"""The role over a genuine sshd against the Windows double: what is told, what is set, and that nothing is left to do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from citadelle.hardening.state import State
from tests.connectors.conftest import WindowsPC, engine  # noqa: F401  (a fixture)
from tests.hardening.states import verdicts
from tests.inventory.conftest import Checkout, checkout  # noqa: F401  (a fixture)

pytestmark = pytest.mark.lab

DEPLOY = """
from roles.hardening.deploy import hardening

hardening()
"""
UAC = "HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Policies\\System"
LSA = "HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Control\\Lsa"
REGISTRY = {
    UAC: {"EnableLUA": 0, "PromptOnSecureDesktop": 0, "InactivityTimeoutSecs": 3600},
    LSA: {"LmCompatibilityLevel": 1, "NoLMHash": 0},
}
SERVICES = ("Spooler", "SSDPSRV", "lfsvc")
AUDITS = {"{0CCE9215-69AE-11D9-BED3-505054503030}": 1, "{0CCE922B-69AE-11D9-BED3-505054503030}": 0}
SETS = ", this run sets it"
TEN = [
    "WIN-AUD-06 New processes are recorded: found nothing, wanted success",
    "WIN-AUD-10 Logons are recorded: found success, wanted success and failure",
    "WIN-DSK-01 An unused screen locks within 15 minutes: found 3600, wanted at least 1, at most 900",
    "WIN-LSA-02 Only NTLMv2 is spoken: found 1, wanted 5",
    "WIN-LSA-03 No LAN Manager hashes are stored: found 0, wanted 1",
    "WIN-SVC-03 Service Print Spooler is off: found Auto, wanted Disabled or absent",
    "WIN-SVC-04 Service SSDP Discovery is off: found Auto, wanted Disabled or absent",
    "WIN-SVC-08 Service Geolocation is off: found Auto, wanted Disabled or absent",
    "WIN-UAC-01 User account control is on: found 0, wanted 1",
    "WIN-UAC-04 The question stands on the secure desktop: found 0, wanted 1",
]


@pytest.fixture
def pc(tmp_path: Path, engine: str) -> Iterator[WindowsPC]:  # noqa: F811
    """A fresh PC that plays Windows."""
    server = WindowsPC(tmp_path / "pc", engine=engine)
    server.start()
    server.control("setup")
    yield server
    server.stop()


def deviate(pc: WindowsPC) -> None:
    """Make ten settings wrong, past the product's own code."""
    registry, state = pc.home / "registry.json", pc.home / "state.json"
    values = json.loads(registry.read_text("utf-8-sig"))
    for key, wrong in REGISTRY.items():
        values[next(known for known in values if known.lower() == key.lower())].update(wrong)
    registry.write_text(json.dumps(values))
    content = json.loads(state.read_text("utf-8-sig"))
    for name in SERVICES:
        content["services"][name].update(StartType="Automatic", Status="Running")
    state.write_text(json.dumps(content | {"audit": content["audit"] | AUDITS}))


def run(checkout: Checkout, pc: WindowsPC, *words: str, code: int = 0, **data: Any) -> str:  # noqa: F811
    """One run of pyinfra over the PC; its output."""
    given = {**pc.data, "hardening_states": str(checkout.path / "states"), **data}
    checkout.write("inventory/mine.py", f"windows = [('@windows/pc1', {given!r})]\n")
    checkout.write("deploy.py", DEPLOY)
    done = checkout.pyinfra(*words, "inventory", "deploy.py", NO_COLOR="1")
    assert done.returncode == code, done.stdout
    return done.stdout


def told(output: str) -> list[str]:
    """The lines about controls."""
    return [line.strip() for line in output.splitlines() if re.match(r" *@windows/pc1: (fail|unknown): WIN-", line)]


def accepted(checkout: Checkout) -> str:  # noqa: F811
    """Waivers for whatever is still wrong in the saved state: what is judged only."""
    found = verdicts(State.read(checkout.path / "states/pc1.json"))
    rows = [{"control": name, "host": "pc1", "reason": "stays so for this test", "expires": "2999-12-31", "accepted_by": "nobody"}
            for name, verdict in found.items() if verdict.deviates]  # fmt: skip
    checkout.write("accepted.yaml", yaml.safe_dump({"windows": rows}))
    return str(checkout.path / "accepted.yaml")


def test_ten_deviations_are_ten_lines_and_gone_after_the_run(checkout: Checkout, pc: WindowsPC) -> None:  # noqa: F811
    run(checkout, pc, "-y")
    run(checkout, pc, "--dry")
    waivers = accepted(checkout)
    deviate(pc)
    before = pc.starts("powershell.exe")
    dry = told(run(checkout, pc, "--dry", hardening_waivers=waivers))
    assert sorted(dry) == [f"@windows/pc1: fail: {line}{SETS}" for line in TEN]
    assert pc.starts("powershell.exe") == before + 1
    french = told(run(checkout, pc, "--dry", hardening_waivers=waivers, hardening_language="fr"))
    assert [line.split()[2] for line in french] == [line.split()[2] for line in dry]
    assert f"@windows/pc1: fail: WIN-LSA-02 Seul NTLMv2 est utilisé: found 1, wanted 5{SETS}" in french
    kept = json.loads((pc.home / "registry.json").read_text("utf-8-sig"))
    assert 0 in kept[UAC].values() or {"kind": "DWord", "value": 0} in kept[UAC].values(), "a dry run sets nothing"

    output = run(checkout, pc, "-y", hardening_waivers=waivers)
    assert re.search(r"Grand total +1 +1 +- +-", output), output
    again = run(checkout, pc, "-y", hardening_waivers=waivers)
    assert told(again) == []
    assert re.search(r"Grand total +1 +- +- +1", again), again


def test_a_pc_that_refuses_fails_with_each_control_and_value_and_goes_on_once_it_does_not(
    checkout: Checkout,  # noqa: F811
    pc: WindowsPC,
) -> None:
    state = pc.home / "state.json"
    content = json.loads(state.read_text("utf-8-sig"))
    content["services"]["Spooler"]["Protected"] = True
    state.write_text(json.dumps(content))
    output = run(checkout, pc, "-y", code=1)
    refused = [line.strip() for line in output.splitlines() if "is not kept" in line]
    assert refused == [
        "@windows/pc1: WIN-SVC-03 is not kept: Spooler = Disabled (CouldNotSetService,Set-Service)".replace(
            "@windows/pc1: ", "[@windows/pc1] @windows/pc1: "
        )
    ]
    assert "hint: a policy of the domain or a program that guards it sets it back" in output
    kept = json.loads(state.read_text("utf-8-sig"))
    assert kept["services"]["SSDPSRV"]["StartType"] == "Disabled", "the others are set"
    del kept["services"]["Spooler"]["Protected"]
    state.write_text(json.dumps(kept))
    output = run(checkout, pc, "-y")
    assert [line.split()[2] for line in told(output) if line.endswith(SETS)] == ["WIN-SVC-03"]
    assert re.search(r"Grand total +1 +1 +- +-", output), output


PLATFORM = """
from roles.hardening.deploy import hardening
from roles.platform.deploy import platform

platform()
hardening()
"""


def test_a_pc_that_cannot_become_a_host_is_refused_with_all_that_is_wrong_before_any_change(
    checkout: Checkout,  # noqa: F811
    pc: WindowsPC,
) -> None:
    files = [pc.home / name for name in ("registry.json", "state.json")]
    pc.control("edition", "home")
    content = json.loads(files[1].read_text("utf-8-sig"))
    content["computer"]["SecureBoot"] = False
    files[1].write_text(json.dumps(content))
    first = [file.read_bytes() for file in files]
    pc.control("journal", "clear")
    checkout.write("inventory/mine.py", f"windows = [('@windows/pc1', {pc.data!r})]\n")
    checkout.write("deploy.py", PLATFORM)
    done = checkout.pyinfra("-y", "inventory", "deploy.py", NO_COLOR="1")
    assert done.returncode == 1
    assert (
        "@windows/pc1: this PC cannot become a host: WIN-PLT-01 The edition of Windows can be managed: found Core, wanted Pro, Enterprise, "
        "Education or Server; WIN-PLT-05 Secure Boot is on: found no, wanted yes\n"
        "hint: upgrade the PC to Windows 11 Pro or Enterprise; turn Secure Boot on in the firmware"
    ) in re.sub(r"\n +", "\n", done.stdout)
    assert [file.read_bytes() for file in files] == first
    assert pc.starts("powershell.exe") == 1
    programs = [entry["program"] for entry in pc.journal()]
    assert programs.count("secedit.exe") == programs.count("auditpol.exe") == 1, "one look for both roles"


def test_judging_alone_sets_nothing(checkout: Checkout, pc: WindowsPC) -> None:  # noqa: F811
    files = [pc.home / name for name in ("registry.json", "state.json")]
    run(checkout, pc, "-y", hardening_apply=False)
    first = [file.read_bytes() for file in files]
    saved = checkout.path / "states/pc1.json"
    assert "choices" not in json.loads(saved.read_text())
    output = run(checkout, pc, "-y", hardening_apply=False, bitlocker_unlock="tpm_pin")
    assert "@windows/pc1: fail: WIN-BIT-08 Policy demands the PIN that was chosen: found absent, wanted 1" in output
    assert json.loads(saved.read_text())["choices"] == {"unlock": "tpm_pin"}, "how it was judged is recorded"
    assert [file.read_bytes() for file in files] == first
    assert len(told(output)) > 100
    assert "this run sets it" not in output
    assert re.search(r"Grand total +1 +- +- +1", output), output


def test_a_wrong_table_stops_before_anything(checkout: Checkout, pc: WindowsPC) -> None:  # noqa: F811
    checkout.write("wrong.yaml", "controls: []\n")
    given = {**pc.data, "hardening_controls": str(checkout.path / "wrong.yaml")}
    checkout.write("inventory/mine.py", f"windows = [('@windows/pc1', {given!r})]\n")
    checkout.write("deploy.py", DEPLOY)
    done = checkout.pyinfra("-y", "inventory", "deploy.py", NO_COLOR="1")
    assert done.returncode == 1
    assert f"@windows/pc1: {checkout.path}/wrong.yaml: controls: Tuple should have at least 1 item" in done.stdout
    assert "hint: docs/controls.md says what stands in these files" in done.stdout


def test_a_state_that_cannot_be_saved_is_said(checkout: Checkout, pc: WindowsPC) -> None:  # noqa: F811
    checkout.write("taken", "a file where the folder should be")
    given = {**pc.data, "hardening_states": str(checkout.path / "taken")}
    checkout.write("inventory/mine.py", f"windows = [('@windows/pc1', {given!r})]\n")
    checkout.write("deploy.py", DEPLOY)
    done = checkout.pyinfra("-y", "inventory", "deploy.py", NO_COLOR="1")
    assert done.returncode == 1
    assert "@windows/pc1: its state cannot be saved: " in done.stdout
    assert "hint: set hardening_states to a folder that can be written" in done.stdout
