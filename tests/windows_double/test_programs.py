"""icacls, secedit, auditpol, schtasks, whoami, dsregcmd: state behind them, failures as on Windows."""

import csv
import io

import pytest

from tests.windows_double.conftest import Double

pytestmark = pytest.mark.lab


def test_icacls_grants_replaces_and_cuts_inheritance(double: Double) -> None:
    line = "icacls C:\\ProgramData\\ssh /inheritance:r /grant *S-1-5-32-544:(OI)(CI)F *S-1-5-18:(OI)(CI)F"
    assert double.ask(line).lines[-1] == "Successfully processed 1 files; Failed processing 0 files"
    shown = double.ask("icacls C:\\ProgramData\\ssh").lines
    assert shown[0] == "C:\\ProgramData\\ssh BUILTIN\\Administrators:(OI)(CI)(F)"
    assert shown[1].strip() == "NT AUTHORITY\\SYSTEM:(OI)(CI)(F)"
    assert len([line for line in shown if "(F)" in line]) == 2
    double.ask("icacls C:\\ProgramData\\ssh /grant:r *S-1-5-18:(OI)(CI)(RX)")
    assert "NT AUTHORITY\\SYSTEM:(OI)(CI)(RX)" in double.ask("icacls C:\\ProgramData\\ssh").text
    assert "SYSTEM:(OI)(CI)(F)" not in double.ask("icacls C:\\ProgramData\\ssh").text


def test_files_inherit_from_their_folder(double: Double) -> None:
    double.path("C:\\ProgramData\\ssh\\k").write_text("x")
    double.ask("icacls C:\\ProgramData\\ssh /inheritance:r /grant Administrators:(OI)(CI)F")
    assert (
        double.ask("icacls C:\\ProgramData\\ssh\\k").lines[0]
        == "C:\\ProgramData\\ssh\\k BUILTIN\\Administrators:(I)(F)"
    )


def test_the_list_of_a_file_ends_with_it(double: Double) -> None:
    file = double.path("C:\\ProgramData\\ssh\\k")
    file.write_text("old")
    double.ask("icacls C:\\ProgramData\\ssh\\k /inheritance:r /grant *S-1-5-18:F")
    assert double.ask("icacls C:\\ProgramData\\ssh\\k").lines[0].endswith(" NT AUTHORITY\\SYSTEM:(F)")
    file.unlink()
    double.ask("icacls C:\\ProgramData\\ssh")
    file.write_text("new")
    assert double.ask("icacls C:\\ProgramData\\ssh\\k").lines[0].endswith(" NT AUTHORITY\\SYSTEM:(I)(F)")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("C:\\nope", 2),
        ("C:\\Windows /frobnicate", 87),
        ("C:\\Windows /grant Nobody123:F", 1332),
        ("C:\\Windows /grant x", 87),
    ],
)
def test_icacls_fails_and_changes_nothing(double: Double, arguments: str, code: int) -> None:
    before = double.state["acls"]
    assert double.ask(f"icacls {arguments}").code == code & 0xFF
    assert double.state["acls"] == before


def test_secedit_exports_utf16_and_configures_what_is_listed(double: Double) -> None:
    assert double.ask("secedit /export /areas SECURITYPOLICY USER_RIGHTS /cfg C:\\a.inf /quiet").code == 0
    data = double.path("C:\\a.inf").read_bytes()
    assert data.startswith(b"\xff\xfe")
    text = data.decode("utf-16")
    assert "\r\nMinimumPasswordLength = 0\r\n" in text
    assert "LockoutDuration" not in text
    head = '[Unicode]\r\nUnicode=yes\r\n[Version]\r\nsignature="$CHICAGO$"\r\nRevision=1\r\n'
    wanted = (
        head
        + "[System Access]\r\nMinimumPasswordLength = 14\r\n[Privilege Rights]\r\nSeBatchLogonRight = *S-1-5-32-544\r\n"
    )
    double.path("C:\\b.inf").write_bytes(b"\xff\xfe" + wanted.encode("utf-16-le"))
    assert double.ask("secedit /configure /db C:\\t.sdb /cfg C:\\b.inf /areas SECURITYPOLICY /quiet").code == 0
    security = double.state["security"]
    assert security["System Access"]["MinimumPasswordLength"] == "14"
    assert security["Privilege Rights"]["SeBatchLogonRight"] != "*S-1-5-32-544", "an area that was not asked for stays"
    double.ask("secedit /configure /db C:\\t.sdb /cfg C:\\b.inf /areas USER_RIGHTS /quiet")
    assert double.state["security"]["Privilege Rights"]["SeBatchLogonRight"] == "*S-1-5-32-544"


@pytest.mark.parametrize(
    "line", ["secedit", "secedit /export", "secedit /configure /cfg C:\\b.inf", "secedit /export /cfg C:\\no\\x.inf"]
)
def test_secedit_refuses(double: Double, line: str) -> None:
    assert double.ask(line).code == 1


GUID = "{0CCE9215-69AE-11D9-BED3-505054503030}"


def test_auditpol_sets_by_guid_and_backs_up(double: Double) -> None:
    assert double.ask(f"auditpol /set /subcategory:{GUID.lower()} /success:enable /failure:enable").code == 0
    assert double.state["audit"][GUID] == 3
    rows = list(csv.DictReader(io.StringIO(double.ask(f"auditpol /get /subcategory:{GUID} /r").text)))
    assert [(row["Subcategory GUID"], row["Inclusion Setting"]) for row in rows] == [(GUID, "Success and Failure")]
    double.ask(f"auditpol /set /subcategory:{GUID} /success:disable")
    assert double.ask("auditpol /backup /file:C:\\audit.csv").code == 0
    backup = {
        row["Subcategory GUID"]: row["Setting Value"] for row in csv.DictReader(double.path("C:\\audit.csv").open())
    }
    assert backup[GUID] == "2"
    assert double.ask("auditpol /backup /file:C:\\audit.csv").code == 80, "an existing file is refused"


def test_auditpol_refuses_an_unknown_subcategory(double: Double) -> None:
    assert double.ask("auditpol /set /subcategory:{0CCE9999-69AE-11D9-BED3-505054503030} /success:enable").code == 87


def test_schtasks_round_trip(double: Double) -> None:
    assert double.ask("schtasks /query /tn x").code == 1
    assert (
        double.ask('schtasks /create /tn a\\x /tr "C:\\Windows\\System32\\hostname.exe -q" /sc onstart /ru SYSTEM').code
        == 0
    )
    task = double.state["tasks"]["\\a\\x"]
    assert task["Actions"][0] == {
        "Id": None,
        "Execute": "C:\\Windows\\System32\\hostname.exe",
        "Arguments": "-q",
        "WorkingDirectory": None,
    }
    assert double.ask("schtasks /query /tn a\\x /fo csv /nh").text == '"\\a\\x","N/A","Ready"'
    assert double.ask("schtasks /delete /tn a\\x /f").code == 0
    assert double.state["tasks"] == {}


def test_whoami_shows_an_elevated_administrator(double: Double) -> None:
    rows = list(csv.reader(io.StringIO(double.ask("whoami /groups /fo csv /nh").text)))
    sids = {row[2] for row in rows}
    assert {"S-1-5-32-544", "S-1-16-12288"} <= sids
    assert double.ask("whoami /nonsense").code == 1


def test_dsregcmd_shows_a_workgroup(double: Double) -> None:
    text = double.ask("dsregcmd /status").text
    assert "AzureAdJoined : NO" in text
    assert "NgcSet : NO" in text
    assert double.ask("dsregcmd /leave").code == 1
