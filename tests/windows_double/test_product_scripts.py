"""Every PowerShell of the product against the double: each command that it calls is there and does something."""

import ast
import base64
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from citadelle.facts.hardening import SCRIPT
from tests.conftest import ROOT, shared_path
from tests.windows_double.conftest import Console

pytestmark = pytest.mark.lab

POWERSHELL = re.compile(r"\b[A-Z][a-z]+-[A-Z][A-Za-z]+|& '")  # a cmdlet's name, or a call of a program
PROSE = {
    "citadelle/hardening/bitlocker.py"
}  # verdicts and cures that a person reads and types: the product runs none of it
# Files whose functions stand in another one: judged as the whole that is run.
JOINED = dict.fromkeys(("citadelle/facts/hardening.ps1", "citadelle/facts/line.ps1"), SCRIPT)
FIND = """
$texts = ConvertFrom-Json ([Text.Encoding]::UTF8.GetString([Convert]::FromBase64String('%s')))
$verbs = @('Common', 'Data', 'Lifecycle', 'Diagnostic', 'Communications', 'Security', 'Other' | ForEach-Object {
    ([type]"Management.Automation.Verbs$_").GetFields().Name }) + 'ForEach', 'Where', 'Sort', 'Tee'
$trees = @($texts | ForEach-Object { [Management.Automation.Language.Parser]::ParseInput($_, [ref]$null, [ref]$null) })
# A function of one file may be called in another that is sent together with it.
$is_function = { $args[0] -is [Management.Automation.Language.FunctionDefinitionAst] }
$own = @($trees | ForEach-Object { $_.FindAll($is_function, $true) } | ForEach-Object Name)
$names = foreach ($ast in $trees) {
    $ast.FindAll({ $args[0] -is [Management.Automation.Language.CommandAst] }, $true) | ForEach-Object GetCommandName |
        Where-Object { ($verbs -contains ($_ -replace '-\\w+$') -or $_ -like '*.exe') -and $own -notcontains $_ }
}
$names | Sort-Object -Unique
"""
LOOK_UP = """
foreach ($name in @(%s)) {
    $command = Get-Command -Name $name -ErrorAction Ignore
    if (-not $command) { "${name}: unknown" }
    elseif ($command.CommandType -eq 'Function' -and -not (& $command.Module { $DoubleBodies.ContainsKey($args[0]) } $name)) {
        "${name}: without a body"
    }
}
"""


def _texts(tree: ast.Module) -> Iterator[str]:
    """String literals of a Python file, f-strings with `$x` for their values; no docstrings."""
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "$x" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose | parts:
            yield node.value


def product_scripts() -> dict[str, str]:
    """PowerShell of the product by where it stands: .ps1 files, and literals that look like PowerShell."""
    found = {}
    for file in sorted(path for top in ("citadelle", "roles") for path in (ROOT / top).rglob("*")):
        name = str(file.relative_to(ROOT))
        if file.suffix == ".ps1":
            found[name] = JOINED.get(name, file.read_text(encoding="utf-8-sig"))
        elif file.suffix == ".py" and name not in PROSE:
            texts = [text for text in _texts(ast.parse(file.read_text(encoding="utf-8"))) if POWERSHELL.search(text)]
            found |= {f"{name}#{number}": text for number, text in enumerate(texts)}
    return found


def _commands(console: Console, texts: list[str]) -> list[str]:
    return console.lines(FIND % base64.b64encode(json.dumps(texts).encode()).decode())


def _missing(console: Console, names: list[str]) -> list[str]:
    return console.lines(LOOK_UP % ",".join("'" + name.replace("'", "''") + "'" for name in names))


def test_commands_are_found_wherever_they_stand_in_a_script(console: Console) -> None:
    script = """
    function Own-Thing { }
    if ($x) { Own-Thing; @(Get-Acl a | Set-Acl -Path "$(Get-Date)") }
    & 'C:\\Program Files\\WSL\\wsl.exe' -l; & icacls.exe x  # Get-Service
    "Stop-Service"; Content-Type x
    """
    assert _commands(console, [script]) == [
        "C:\\Program Files\\WSL\\wsl.exe", "Get-Acl", "Get-Date", "icacls.exe", "Set-Acl",
    ]  # fmt: skip


def test_what_the_double_lacks_is_named(console: Console) -> None:
    assert _missing(console, ["Get-Service", "wsl.exe", "Get-VpnConnection", "Get-Nothing", "nothing.exe"]) == [
        "Get-VpnConnection: without a body", "Get-Nothing: unknown", "nothing.exe: unknown",
    ]  # fmt: skip


def test_every_command_of_the_product_is_played(console: Console) -> None:
    names = _commands(console, list(product_scripts().values()))
    assert {"ConvertTo-Json", "Get-ItemProperty", "New-Item"} <= set(names)
    assert _missing(console, names) == []


def test_every_script_of_the_product_is_right_for_windows_powershell(tmp_path: Path) -> None:
    """Genuine parser, 5.1 syntax, documented parameters and values. Literals are parts of scripts, so only whole files count here."""
    checker = shared_path("tools", "pwsh", "check-ps1")
    files = [str(ROOT / name) for name in product_scripts() if name.endswith(".ps1")]
    assert files
    done = subprocess.run(
        [sys.executable, checker, "--errors-only", *files], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
