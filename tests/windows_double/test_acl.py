"""Get-Acl and Set-Acl over the access lists that icacls keeps."""

import pytest

from citadelle.operations.wsl import OWN_FOLDER
from tests.windows_double.conftest import Console

pytestmark = pytest.mark.lab

FILES = "New-Item -ItemType File -Path C:\\ProgramData\\a, C:\\ProgramData\\b -Force | Out-Null"
TIGHT = "icacls C:\\ProgramData\\a /inheritance:r /grant *S-1-5-32-544:F *S-1-5-18:RX"


def test_get_acl_shows_what_icacls_did(console: Console) -> None:
    console.lines(FILES)
    assert console.double.ask(TIGHT).code == 0
    script = """
    $list = Get-Acl -LiteralPath C:\\ProgramData\\a
    "$($list.Owner) $($list.AreAccessRulesProtected) $($list.Sddl)"
    foreach ($rule in $list.Access) {
        "$($rule.IdentityReference.Value) $($rule.AccessControlType) $([int]$rule.FileSystemRights) $($rule.IsInherited)"
    }
    @((Get-Acl C:\\ProgramData\\b).Access | Where-Object { -not $_.IsInherited }).Count
    """
    assert console.lines(script) == [
        "BUILTIN\\Administrators True O:S-1-5-32-544D:PAI(A;;FA;;;S-1-5-32-544)(A;;0x1200a9;;;S-1-5-18)",
        "BUILTIN\\Administrators Allow 2032127 False",
        "NT AUTHORITY\\SYSTEM Allow 1179817 False",
        "0",
    ]


def test_set_acl_gives_a_file_another_one_s_list_and_leaves_the_exit_code_alone(console: Console) -> None:
    console.lines(FILES)
    console.double.ask(TIGHT)
    script = """
    $global:LASTEXITCODE = 7
    Get-Acl -LiteralPath C:\\ProgramData\\a | Set-Acl -LiteralPath C:\\ProgramData\\b
    $LASTEXITCODE
    (Get-Acl C:\\ProgramData\\a).Sddl -eq (Get-Acl C:\\ProgramData\\b).Sddl
    """
    assert console.lines(script) == ["7", "True"]
    shown = console.double.ask("icacls C:\\ProgramData\\b").lines
    assert shown[0] == "C:\\ProgramData\\b BUILTIN\\Administrators:(F)"
    assert shown[1].strip() == "NT AUTHORITY\\SYSTEM:(RX)"


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("Get-Acl C:\\none", "GetAcl_PathNotFound_Exception,Get-Acl"),
        ("Get-Acl C:\\ProgramData\\a | Set-Acl -Path C:\\none", "PathNotFound,Set-Acl"),
        ("Set-Acl -Path C:\\ProgramData\\a -AclObject text", "SetAcl_AclObject,Set-Acl"),
        ("(Get-Acl C:\\ProgramData\\a).SetAccessRuleProtection($true, $false)", "MethodNotFound"),
        ("Get-Acl C:\\ProgramData\\a -Audit", "DoubleNotImplemented,Get-Acl"),
    ],
)
def test_what_is_not_played_fails_and_changes_nothing(console: Console, script: str, error: str) -> None:
    console.lines(FILES)
    before = console.double.state["acls"]
    assert console.errors(script) == [error]
    assert console.double.state["acls"] == before


def test_a_folder_of_ours_that_somebody_else_has_made_is_taken_over(console: Console) -> None:
    """Users may make folders in ProgramData; what lies in this one runs as the system."""
    console.lines("New-Item -ItemType Directory -Path C:\\ProgramData\\citadelle | Out-Null")
    for words in ("/grant *S-1-1-0:(OI)(CI)F", "/setowner *S-1-5-32-545"):
        assert console.double.ask(f"icacls C:\\ProgramData\\citadelle {words}").code == 0
    console.lines(OWN_FOLDER)
    assert console.lines("(Get-Acl C:\\ProgramData\\citadelle).Sddl") == [
        "O:S-1-5-32-544D:PAI(A;OICI;FA;;;S-1-5-32-544)(A;OICI;FA;;;S-1-5-18)(A;OICI;0x1200a9;;;S-1-5-32-545)"
    ]
