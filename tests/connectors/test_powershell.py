"""Scripts in the PowerShell that stays open: text whole, exit codes kept, errors readable, nothing left for the next script."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pyinfra.api.host import Host

from citadelle import powershell as ps
from citadelle.connectors.shell import Result
from citadelle.connectors.windows import PowerShell, _codec
from tests.connectors.conftest import Hosts, WindowsPC, the


def run(powershell: PowerShell, script: str) -> Result:
    return powershell.run(script, 60)


@pytest.mark.parametrize(
    ("script", "out"),
    [
        ("'é € 𝄞 \u2028 œ'", "é € 𝄞 \u2028 œ"),
        ("'a', '', 'b'", "a\n\nb"),
        ('"a`r`nb`nc"', "a\nb\nc"),
        ("1, $true, $null", "1\nTrue\n"),
        ("[char]0xD800 + 'x'", "\ufffdx"),
        ("$null", ""),
        ("'#< CLIXML'; 'x:B64@@'", "#< CLIXML\nx:B64@@"),
        ("Write-Host 'not output'; 'output'", "output"),
        ("Set-Content C:\\lines.txt 'one', 'two'; Get-Content C:\\lines.txt", "one\ntwo"),
        ("'x' * 3000000", "x" * 3_000_000),
    ],
    ids=lambda value: value[:30],
)
def test_text_arrives_whole(powershell: PowerShell, script: str, out: str) -> None:
    assert run(powershell, script) == Result(0, out.encode(), b"")


def test_ten_megabytes_in_many_lines(powershell: PowerShell) -> None:
    out = run(powershell, "$line = 'é' * 999; 1..10000 | ForEach-Object { $line }").stdout
    assert out.decode().split("\n") == ["é" * 999] * 10_000


@pytest.mark.parametrize(
    ("script", "code", "out"),
    [
        ("$global:LASTEXITCODE = 3010", 3010, ""),
        ("$global:LASTEXITCODE = -1", -1, ""),
        ("cmd.exe /c 'echo hello& exit 7'", 7, "hello"),
        ("cmd.exe /c 'exit 7'; 'goes on'", 7, "goes on"),
        ("cmd.exe /c 'exit 7'; cmd.exe /c 'exit 0'", 0, ""),
        ("'before'; throw 'x'", 1, "before"),
        ("cmd.exe /c 'exit 7'; throw 'x'", 7, ""),
    ],
)
def test_exit_codes_are_kept(powershell: PowerShell, script: str, code: int, out: str) -> None:
    result = run(powershell, script)
    assert (result.code, result.stdout.decode()) == (code, out)


def test_exit_ends_the_powershell_and_the_next_command_starts_another(
    windows_host: Host, windows_pc: WindowsPC, powershell: PowerShell
) -> None:
    before = windows_pc.starts("powershell.exe")
    assert run(powershell, "'lost with it'; exit 5") == Result(5, b"", b"")
    assert not powershell.alive
    assert windows_host.run_shell_command("'next'")[1].stdout_lines == ["next"]
    assert windows_pc.starts("powershell.exe") - before == 1


def test_a_pc_that_asks_for_a_restart_is_told_from_a_failure(windows_host: Host) -> None:
    """3010 is ERROR_SUCCESS_REBOOT_REQUIRED; the programs of the double cannot give it: exit codes of Linux end at 255."""
    script = "'installed'; $global:LASTEXITCODE = 3010"
    assert not windows_host.run_shell_command(script)[0]
    right, output = windows_host.run_shell_command(script, _success_exit_codes=[0, 3010])
    assert (right, output.stdout_lines) == (True, ["installed"])
    assert not windows_host.run_shell_command("$global:LASTEXITCODE = 3011", _success_exit_codes=[0, 3010])[0]


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("throw 'déjà vu'", "déjà vu\n(déjà vu, 0x"),
        ("Write-Error -ErrorId Own 'déjà'", "déjà\n(Own"),
        ("Get-Item C:\\absent", "(PathNotFound,Microsoft.PowerShell.Commands.GetItemCommand, 0x"),
        ("No-Such-Command", "(CommandNotFoundException, 0x"),
        ("if (", "(ParseException, 0x"),
        ("Get-Item -NoSuchParameter x", "(NamedParameterNotFound,"),
        ("[Console]::Error.WriteLine('déjà'); throw 'vu'", "déjà\nvu\n("),
        ("[int]'x'", "(InvalidCastFromStringToInteger, 0x"),
    ],
)
def test_errors_say_what_and_carry_their_language_independent_id(
    powershell: PowerShell, script: str, says: str
) -> None:
    result = run(powershell, script)
    assert result.code == 1
    assert says in result.stderr.decode()
    assert "CLIXML" not in result.stderr.decode()
    assert run(powershell, "'next'") == Result(0, b"next", b""), "an error leaves the PowerShell usable"


def test_a_program_that_warns_is_no_error(powershell: PowerShell) -> None:
    assert run(powershell, "[Console]::Error.WriteLine('déjà vu'); 'x'") == Result(0, b"x", "déjà vu".encode())


def test_what_programs_say_is_whole_when_the_answer_overtakes_it(
    powershell: PowerShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The two streams arrive independently; here stderr is held back until the answer has passed."""
    blocks = powershell._process.blocks

    def answer_first(seconds: float | None) -> Iterator[tuple[str, bytes]]:
        held: list[tuple[str, bytes]] = []
        is_answered = False
        for name, block in blocks(seconds):
            is_answered = is_answered or name == "stdout"
            held.append((name, block))
            if is_answered:
                yield from sorted(held, reverse=True)  # "stdout" before "stderr"
                held.clear()

    monkeypatch.setattr(powershell._process, "blocks", answer_first)
    assert run(powershell, "[Console]::Error.Write('é' * 9000); 'x'") == Result(0, b"x", "é".encode() * 9000)
    assert run(powershell, "'next'") == Result(0, b"next", b"")


def test_nothing_of_a_script_is_left_for_the_next(powershell: PowerShell) -> None:
    where = run(powershell, "(Get-Location).Path; $env:PATH").stdout
    run(
        powershell,
        "$x = 1; function f { 2 }; $env:SECRET = 's'; $env:PATH = ''; Set-Location HKLM:\\; Set-StrictMode -Version 3",
    )
    assert run(powershell, "(Get-Location).Path; $env:PATH").stdout == where
    assert (
        run(powershell, '"[$x][$env:SECRET]"; Test-Path function:f; $ErrorActionPreference').stdout
        == b"[][]\nFalse\nStop"
    )
    run(powershell, "Set-Location C:\\Windows; $env:SECRET = 's'; throw 'x'")
    assert run(powershell, "(Get-Location).Path; $env:PATH; $env:SECRET").stdout == where + b"\n"


def test_context_of_one_command_is_set_and_gone_with_it(windows_host: Host) -> None:
    awkward = "it's $(1) `n “x”"
    script = "$env:AWKWARD; (Get-Location).Path"
    before = windows_host.run_shell_command(script)[1].stdout_lines
    given = windows_host.run_shell_command(script, _env={"AWKWARD": awkward}, _chdir="C:\\Windows\\Temp")[
        1
    ].stdout_lines
    assert given[0] == awkward
    assert given[1].replace("/", "\\") == "C:\\Windows\\Temp"
    assert windows_host.run_shell_command(script)[1].stdout_lines == before


@pytest.mark.parametrize("argument", [{"_sudo": True}, {"_su_user": "x"}, {"_stdin": "x"}])
def test_what_windows_cannot_do_is_refused(windows_host: Host, argument: dict[str, object]) -> None:
    right, output = windows_host.run_shell_command("1", **argument)
    assert not right
    assert output.stderr_lines == [
        f"@windows/pc: not possible on Windows: {next(iter(argument))}",
        "hint: log in as the user that is meant",
    ]


def test_french_windows_is_read_as_well(hosts: Hosts, windows_pc: WindowsPC) -> None:
    """Console programs write in code page 850 there; what they say arrives with its accents, from both streams."""
    windows_pc.control("language", "fr")
    try:
        host = the(hosts({"@windows/pc": windows_pc.data, "@wsl/pc/absent": windows_pc.data}), "@windows/pc")
        out = host.run_shell_command("& icacls.exe C:\\Windows; & cmd.exe /c nope", _success_exit_codes=[1])[1]
        assert any("AUTORITE NT\\Système" in line for line in out.stdout_lines)
        assert host.run_shell_command("(Get-Culture).Name; [char]233 + 'œ€'")[1].stdout_lines == ["fr-FR", "éœ€"]
        wsl = the(host.state, "@wsl/pc/absent").run_shell_command("true")[1].stderr
        assert wsl.startswith("@wsl/pc/absent: WSL distribution is missing: absent\nhint: ")
    finally:
        windows_pc.control("language", "en")


def test_code_pages_that_are_not_known_here_are_read_as_utf8() -> None:
    assert [_codec(page) for page in ("850", "1252", "65001", "20127")] == ["cp850", "cp1252", "utf-8", "utf-8"]


def test_a_powershell_that_does_not_start_says_why(hosts: Hosts, windows_pc: WindowsPC) -> None:
    host = the(hosts({"@windows/pc": windows_pc.data}), "@windows/pc")
    windows_pc.control("powershell", "/nonexistent")
    try:
        right, output = host.run_shell_command("1")
    finally:
        windows_pc.control("powershell", "")
    assert not right
    what, hint = output.stderr_lines
    assert what.startswith("@windows/pc: PowerShell does not start: the Windows double has no PowerShell engine")
    assert hint == "hint: ssh to the PC and try powershell.exe -NoProfile"


def test_the_command_line_that_starts_it_fits_cmd() -> None:
    assert len(ps.START) < 8191


@pytest.mark.lab
def test_a_plain_powershell_7_serves_as_well(hosts: Hosts, windows_pc: WindowsPC) -> None:
    """Where a machine has no engine that plays Windows PowerShell 5.1, the double makes its streams those of 5.1."""
    windows_pc.control("powershell", "plain")
    try:
        host = the(hosts({"@windows/pc": windows_pc.data}), "@windows/pc")
        output = host.run_shell_command(
            "[Console]::Error.WriteLine('déjà'); & icacls.exe C:\\nope; 'œ'", _success_exit_codes=[2]
        )[1]
        assert output.stdout_lines[-1] == "œ"
        assert "déjà" in output.stderr
        assert "C:\\nope: The system cannot find the file specified." in output.stderr
        assert "CLIXML" not in output.stderr
        assert "@@END@@" not in output.stderr
    finally:
        windows_pc.control("powershell", "5.1")
