"""The first day of a double against captures of genuine Windows, which nobody of this project wrote."""

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import shared_path
from tests.windows_double.conftest import CODE, Console, Double

pytestmark = pytest.mark.lab


def _text(*parts: str) -> str:
    return shared_path("data", "windows", *parts).read_text(encoding="utf-8-sig")


def _json(*parts: str) -> Any:
    return json.loads(_text(*parts))


def _plain(value: Any) -> Any:
    """Dates out: they differ with the day of the capture, and with the serialiser."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items() if not re.search("Date|Last|Expires", key)}
    return value


def test_users(console: Console) -> None:
    genuine = _json("accounts", "get-localuser.ps51.json")
    shown = console.json("Get-LocalUser")
    assert list(shown[0]) == list(genuine[0])
    built_in = {
        user["SID"]["Value"]: _plain(user) for user in genuine if user["SID"]["Value"][-3:] in ("501", "503", "504")
    }
    assert len(built_in) == 3
    assert {user["SID"]["Value"]: _plain(user) for user in shown if user["SID"]["Value"] in built_in} == built_in


def test_groups(console: Console) -> None:
    genuine = _json("accounts", "get-localgroup.ps51.json")
    assert len(genuine) > 20
    assert console.json("Get-LocalGroup") == genuine


def test_services(console: Console) -> None:
    genuine = _json("windows", "get-service.ps51.json")
    names = ",".join(service["Name"] for service in genuine)
    assert console.json(f"Get-Service {names} | Select-Object Status,Name,DisplayName,StartType") == genuine


def test_optional_features(console: Console) -> None:
    genuine = _json("windows", "get-windowsoptionalfeature.ps51.json")
    shown = console.json("Get-WindowsOptionalFeature -Online | Select-Object FeatureName,DisplayName,Description,State")
    assert {feature["FeatureName"]: feature for feature in shown} == {
        feature["FeatureName"]: feature for feature in genuine
    }


def test_firewall_profiles(console: Console) -> None:
    for genuine in _json("firewall", "get-netfirewallprofile.convertto-json.json"):
        shown = console.json(f"Get-NetFirewallProfile {genuine['Name']}")
        assert {key: value for key, value in genuine.items() if not key.startswith("Cim")} == {
            key: value for key, value in shown.items() if not key.startswith("Cim")
        }


def test_firewall_rules(console: Console) -> None:
    genuine = {rule["InstanceID"]: rule for rule in _json("firewall", "get-netfirewallrule.openssh.json")}[
        "OpenSSH-Server-In-TCP"
    ]
    shown = console.json("Get-NetFirewallRule OpenSSH-Server-In-TCP")
    same = {key for key in genuine if not key.startswith("Cim")}
    assert {key: shown.get(key, "absent") for key in same} == {key: genuine[key] for key in same}


def test_a_setting_that_is_not_there(console: Console) -> None:
    """The capture has a GUID without quotes: a script block, whose text has no braces."""
    genuine = _text("firewall", "set-netfirewallhypervvmsetting.notfound.stderr.txt")
    call = "Set-NetFirewallHyperVVMSetting -Name {40E0AC32-46A5-438A-A0B2-2B479E8F2E90} -Enabled True"
    (error,) = console.errors(call)
    assert f"FullyQualifiedErrorId : {error}\n" in genuine + "\n"


def test_bitlocker_volume(console: Console) -> None:
    genuine = _json("bitlocker", "bitlockervolume.realmjoin.clear.json")
    shown = console.json("Get-BitLockerVolume C:")
    assert list(shown) == list(genuine)
    other = {"ComputerName", "CapacityGB"}
    assert {key: shown[key] for key in shown if key not in other} == {
        key: genuine[key] for key in genuine if key not in other
    }


@pytest.mark.parametrize(
    ("capture", "script"),
    [
        ("bitlocker/get-tpm.fl.txt", "Get-Tpm"),
        ("defender/mpcomputerstatus.schema.win11.txt", "Get-MpComputerStatus"),
    ],
)
def test_property_names(console: Console, capture: str, script: str) -> None:
    genuine = set(re.findall(r"(?m)^(\w+) *(?::| [a-z]+$)", _text(*capture.split("/"))))
    assert len(genuine) > 15
    shown = set(console.lines(f"({script}).PSObject.Properties.Name"))
    assert genuine - shown == set()


def test_defender_in_the_security_centre(console: Console) -> None:
    genuine = _json("defender", "securitycenter2.defender-only.json")
    shown = console.json("Get-CimInstance -Namespace root/SecurityCenter2 -ClassName AntiVirusProduct")
    (product,) = genuine["antiVirus"]
    same = {key for key in product if not key.startswith("Cim")} - {"timestamp"}
    assert {key: shown[key] for key in same} == {key: product[key] for key in same}


def test_version_values_of_the_registry(double: Double) -> None:
    genuine = _json("windows", "currentversion.win11-24h2-enterprise.0.json")
    shown = double.registry["hkey_local_machine\\software\\microsoft\\windows nt\\currentversion"]
    for key in ("CurrentBuild", "InstallationType", "DisplayVersion"):
        assert shown[key] == genuine[key]
    assert "Windows 10" in shown["ProductName"], "as the captures of Windows 11 LTSC and Server show: the name lies"


def test_security_policy(double: Double) -> None:
    """The capture's one renamed account, and the right that installing WSL gives to virtual machines, differ."""
    genuine = (
        shared_path("data", "windows", "policy", "secedit-export.en.mondoo.utf16le.inf").read_bytes().decode("utf-16")
    )
    assert double.ask("secedit /export /cfg C:\\a.inf").code == 0
    shown = double.path("C:\\a.inf").read_bytes().decode("utf-16")
    expected = genuine.replace('"chris"', '"Administrator"').replace("*S-1-5-80-0\r", "*S-1-5-80-0,*S-1-5-83-0\r")
    assert shown == expected


def test_audit_policy(double: Double) -> None:
    genuine = list(csv.DictReader(io.StringIO(_text("policy", "auditpol-get-r.en.csv"))))
    shown = list(csv.DictReader(io.StringIO(double.ask("auditpol /get /category:* /r").text)))
    assert len(genuine) > 50
    assert [row | {"Machine Name": ""} for row in shown] == [row | {"Machine Name": ""} for row in genuine]


def test_join_state(double: Double) -> None:
    genuine = _text("mfa", "dsregcmd-status.workgroup.txt").splitlines()
    shown = double.ask("dsregcmd /status").out.decode("cp850").splitlines()
    assert [line for line in shown if "Device Name" not in line] == [
        line for line in genuine if "Device Name" not in line
    ]


def test_french_names(double: Double) -> None:
    """Names of icacls and whoami on French Windows, as far as a workgroup has them."""
    genuine = set(re.findall(r"([^\s:][^:\n]*?):\(", _text("fr", "icacls.users.txt").replace("C:\\Users ", "")))
    (organisation,) = re.findall(r"(?m)^(.*?)  +Groupe bien connu S-1-5-15", _text("fr", "whoami-groups.user.tail.txt"))
    genuine.add(organisation)
    assert len(genuine) == 5
    double.control("language", "fr")
    double.ask("icacls C:\\Windows /grant *S-1-1-0:RX")
    shown = double.ask("whoami /groups").out.decode("cp850") + double.ask("icacls C:\\Windows").out.decode("cp850")
    assert {name for name in genuine if name not in shown} == set()


def test_texts_of_wsl() -> None:
    genuine = _json("wsl", "messages.en-fr-de.json")
    own = json.loads(Path(CODE / "data/wsl-messages.json").read_text(encoding="utf-8"))
    for language in ("en-US", "fr-FR"):
        assert own[language].items() <= genuine[language].items()


def test_an_error_record_of_powershell(windows: Double) -> None:
    """The capture's progress records depend on its script; the line number is one higher here, where the double's own line stands first."""
    genuine = shared_path("data", "windows", "clixml", "pywinrm.decode_clixml_error.stderr").read_bytes()
    errors = re.findall(rb'<S S="Error">.*?</S>', genuine)
    answer = windows.ps("fake cmdlet")
    assert answer.err.startswith(genuine[: genuine.index(b"<Obj ")])
    assert answer.err.endswith(b"</S></Objs>")
    assert answer.code == 1
    if not windows.plain:  # the words of 7 differ
        assert re.findall(rb'<S S="Error">.*?</S>', answer.err.replace(b"line:2", b"line:1")) == errors
