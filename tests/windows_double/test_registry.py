"""The registry: the engine's own provider, or the double's for a PowerShell 7 that has none. One file is behind both."""

import pytest

from tests.windows_double.conftest import Console, Double

pytestmark = pytest.mark.lab


def test_registry_items_and_values(console: Console) -> None:
    script = """
    New-Item HKLM:\\SOFTWARE\\Zed -Force | Out-Null
    New-ItemProperty HKLM:\\SOFTWARE\\Zed -Name N -Value 5 -PropertyType DWord -Force | Out-Null
    Set-ItemProperty -LiteralPath HKLM:\\SOFTWARE\\Zed -Name M -Value 'a','b' -Type MultiString
    Set-ItemProperty -LiteralPath HKLM:\\SOFTWARE\\Zed -Name B -Value ([byte[]](1,255)) -Type Binary
    Set-ItemProperty -LiteralPath HKLM:\\SOFTWARE\\Zed -Name U -Value 4294967295 -Type DWord
    $p = Get-ItemProperty HKLM:\\SOFTWARE\\zed
    "$($p.N + 1) $($p.M -join '+') $($p.B -join '+') $($p.U)"
    $p.PSPath
    $key = Get-Item HKLM:\\SOFTWARE\\Zed
    "$($key.GetValue('U')) $($key.GetValueKind('M')) $($key.ValueCount) $($key.GetValue('none', 'x'))"
    New-Item HKLM:\\SOFTWARE\\Zed\\Sub | Out-Null
    (Get-ChildItem HKLM:\\SOFTWARE\\Zed).PSChildName
    Remove-ItemProperty HKLM:\\SOFTWARE\\Zed N
    (Get-Item HKLM:\\SOFTWARE\\Zed).Property -contains 'N'
    """
    assert console.lines(script) == [
        "6 a+b 1+255 4294967295",
        "Microsoft.PowerShell.Core\\Registry::HKEY_LOCAL_MACHINE\\SOFTWARE\\Zed",
        "-1 MultiString 4 x",
        "Sub",
        "False",
    ]
    kept = console.double.registry["hkey_local_machine\\software\\zed"]
    assert kept == {"M": ["a", "b"], "B": "01FF", "U": -1}
    console.lines("Remove-Item HKLM:\\SOFTWARE\\Zed -Recurse")
    assert "hkey_local_machine\\software\\zed" not in console.double.registry
    assert console.lines("Test-Path HKLM:\\SOFTWARE\\Zed") == ["False"]


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("Get-Item HKLM:\\NOPE", "PathNotFound,Microsoft.PowerShell.Commands.GetItemCommand"),
        (
            "Get-ItemProperty HKLM:\\SOFTWARE -Name none",
            "System.Management.Automation.PSArgumentException,Microsoft.PowerShell.Commands.GetItemPropertyCommand",
        ),
        ("New-Item HKLM:\\SOFTWARE\\No\\Way", "System.ArgumentException,Microsoft.PowerShell.Commands.NewItemCommand"),
        ("New-Item HKLM:\\SOFTWARE\\Policies", "System.IO.IOException,Microsoft.PowerShell.Commands.NewItemCommand"),
        (
            "New-ItemProperty HKLM:\\SOFTWARE -Name a -Value 1 -PropertyType Word",
            "TypeParameterBindingInvalid,Microsoft.PowerShell.Commands.NewItemPropertyCommand",
        ),
        (
            "Set-ItemProperty HKLM:\\SOFTWARE -Name a -Value text -Type DWord",
            "System.Management.Automation.PSInvalidCastException,Microsoft.PowerShell.Commands.SetItemPropertyCommand",
        ),
    ],
)
def test_registry_refuses_with_one_error_and_changes_nothing(console: Console, script: str, error: str) -> None:
    before = console.double.registry
    assert console.errors(script) == [error]
    assert console.double.registry == before
    assert console.lines("Test-Path HKLM:\\SOFTWARE\\No") == ["False"]


def test_registry_lives_in_a_file(windows: Double) -> None:
    key = "HKLM:\\SYSTEM\\CurrentControlSet\\Control\\Session Manager\\Environment"
    windows.ps(f"Set-ItemProperty -LiteralPath '{key}' -Name WSL_UTF8 -Value '1' -Type String")
    assert windows.ask("echo %WSL_UTF8%").text == "1"
    assert windows.ps(f"(Get-ItemProperty '{key}').WSL_UTF8").text == "1"
