"""The one script that a person runs on a bare PC, in the genuine engine: what it makes of the PC, twice, and what it refuses."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.sshd import make_key
from tests.windows_double.conftest import Answer, Double, double, engine  # noqa: F401  (fixtures)

SCRIPT = ROOT / "roles/line/bootstrap.ps1"
KEYS = "ProgramData/ssh/administrators_authorized_keys"
NETWORK = "10.1.0.0/24,10.2.0.7/32"


def test_the_readme_gives_its_digest() -> None:
    digest = hashlib.sha256(SCRIPT.read_bytes()).hexdigest()
    assert re.findall(r"`([0-9a-f]{64})`", (ROOT / "README.md").read_text()) == [digest]


@pytest.fixture
def bare(double: Double, engine: Any, tmp_path: Path) -> Double:  # noqa: F811
    """A PC without an SSH server, with the script and a key brought along."""
    double.engine, double.plain = str(engine.folder), engine.personality != "powershell.exe"
    state = double.state
    state["capabilities"]["OpenSSH.Server~~~~0.0.1.0"] = "NotPresent"
    del state["services"]["sshd"], state["firewall"]["rules"]["OpenSSH-Server-In-TCP"]
    write(double, **state)
    double.path("C:\\Users\\Public\\bootstrap.ps1").write_bytes(SCRIPT.read_bytes())
    key = make_key(tmp_path / "admin").with_suffix(".pub").read_text()
    double.path("C:\\Users\\Public\\admin.pub").write_text(key)
    host_key = make_key(tmp_path / "host").with_suffix(".pub").read_text()
    double.path("C:\\ProgramData\\ssh\\ssh_host_ed25519_key.pub").write_text(host_key)
    return double


def write(pc: Double, **values: Any) -> None:
    """Some of the PC's state."""
    (pc.home / "state.json").write_text(json.dumps(pc.state | values))


def start(pc: Double, network: str = NETWORK, key: str = "admin.pub", more: str = "") -> Answer:
    """As a person types it."""
    place = "C:\\Users\\Public\\"
    words = f"-File {place}bootstrap.ps1 -KeyFile {place}{key} -Network {network} {more}"
    return pc.ask(f"powershell.exe -NoProfile -ExecutionPolicy Bypass {words}")


def snapshot(pc: Double) -> dict[str, Any]:
    """All that the script may touch."""
    return {name: pc.state[name] for name in ("capabilities", "services", "firewall", "acls")} | {
        "keys": pc.path(f"C:/{KEYS}").read_bytes() if pc.path(f"C:/{KEYS}").exists() else b""
    }


@pytest.mark.lab
@pytest.mark.parametrize("language", ["en", "fr"])
def test_a_bare_pc_is_opened_and_a_second_run_changes_nothing(bare: Double, language: str) -> None:
    bare.control("language", language)
    first = start(bare)
    assert (first.code, first.err) == (0, b""), first.text
    assert (
        "modifié : serveur OpenSSH installé" if language == "fr" else "changed: OpenSSH server installed"
    ) in first.text
    state = bare.state
    assert state["capabilities"]["OpenSSH.Server~~~~0.0.1.0"] == "Installed"
    assert (state["services"]["sshd"]["Status"], state["services"]["sshd"]["StartType"]) == ("Running", "Automatic")
    rule = state["firewall"]["rules"]["OpenSSH-Server-In-TCP"]
    assert (rule["RemoteAddress"], rule["Profile"], rule["Enabled"]) == (["10.1.0.0/24", "10.2.0.7/32"], "Any", "True")
    assert bare.path(f"C:/{KEYS}").read_text().strip() == bare.path("C:/Users/Public/admin.pub").read_text().strip()
    acl = state["acls"][f"c:\\{KEYS.lower()}".replace("/", "\\")]
    assert {entry["sid"]: entry["rights"] for entry in acl["entries"]} == {"S-1-5-32-544": "(F)", "S-1-5-18": "(F)"}
    assert (acl["inherits"], acl["owner"]) == (False, "S-1-5-32-544")
    print_of_key = subprocess.run(
        ["ssh-keygen", "-l", "-f", bare.path("C:/ProgramData/ssh/ssh_host_ed25519_key.pub")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()[1]
    assert print_of_key in first.text
    before = snapshot(bare)
    second = start(bare)
    assert (second.code, snapshot(bare)) == (0, before)
    assert second.lines[0] == ("rien à modifier" if language == "fr" else "nothing to change")
    assert print_of_key in second.text


@pytest.mark.lab
def test_keys_of_others_stay_and_an_open_rule_is_closed(bare: Double) -> None:
    assert start(bare).code == 0
    other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPaddingPaddingPaddingPaddingPaddingPadd other"
    keys = bare.path(f"C:/{KEYS}")
    keys.write_text(f"{other}\r\n")
    firewall = bare.state["firewall"]
    firewall["rules"]["OpenSSH-Server-In-TCP"].update(RemoteAddress=["Any"], Profile="Private")
    write(bare, firewall=firewall)
    said = start(bare)
    assert said.text.count("changed: ") == 2, said.text
    assert [line.split()[-1] for line in keys.read_text().splitlines() if line] == ["other", "admin"]
    assert bare.state["firewall"]["rules"]["OpenSSH-Server-In-TCP"]["RemoteAddress"] == ["10.1.0.0/24", "10.2.0.7/32"]


@pytest.mark.lab
@pytest.mark.parametrize("language", ["en", "fr"])
def test_an_update_server_that_hands_nothing_out_is_told_with_its_cures(bare: Double, language: str) -> None:
    bare.control("language", language)
    write(bare, wsus=True)
    before = snapshot(bare)
    said = start(bare)
    assert (said.code, snapshot(bare)) == (1, before)
    assert "0x800F0954" in said.text
    assert "-Source" in said.lines[1]
    assert start(bare, more="-Source D:\\LanguagesAndOptionalFeatures").code == 0


@pytest.mark.lab
@pytest.mark.parametrize(
    ("what", "told"),
    [
        ({"network": "10.1.0.0"}, "not a network of administration: 10.1.0.0"),
        ({"network": "0.0.0.0/0"}, "not a network of administration: 0.0.0.0/0"),
        ({"network": "10.1.0.0/24,paris"}, "not a network of administration: paris"),
        ({"key": "absent.pub"}, "file of public keys is absent: C:\\Users\\Public\\absent.pub"),
        ({"key": "bootstrap.ps1"}, "not a public key in C:\\Users\\Public\\bootstrap.ps1"),
    ],
)
def test_what_is_given_wrong_is_refused_before_anything(bare: Double, what: dict[str, str], told: str) -> None:
    before = snapshot(bare)
    said = start(bare, **what)
    assert (said.code, snapshot(bare)) == (1, before)
    assert told in said.text
    assert said.lines[1].startswith("hint: ")


@pytest.mark.lab
def test_a_console_that_is_not_elevated_is_refused(bare: Double) -> None:
    groups = [{**group, "Members": []} if group["SID"] == "S-1-5-32-544" else group for group in bare.state["groups"]]
    write(bare, groups=groups)
    said = start(bare)
    assert (said.code, said.lines[0].partition(": ")[2]) == (1, "this console is not elevated")
