"""powershell.exe over the genuine engine: streams, arguments, life and death of the process."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.windows_double.conftest import CODE, Double, encoded

pytestmark = pytest.mark.lab


def test_stdout_is_the_oem_code_page_with_crlf(windows: Double) -> None:
    assert windows.ps("'é'; 'ok'").out == b"\x82\r\nok\r\n"


def test_a_script_may_ask_for_utf8(windows: Double) -> None:
    script = "[Console]::OutputEncoding=[Text.UTF8Encoding]::new($false); [Console]::Out.WriteLine('é')"
    assert windows.ps(script).out.strip() == "é".encode()


def test_errors_of_an_encoded_command_are_clixml(windows: Double) -> None:
    answer = windows.ps("Get-Item C:\\nope; exit 4")
    assert answer.code == 4
    assert answer.err.startswith(b'#< CLIXML\r\n<Objs Version="1.1.0.1"')
    assert answer.err.rstrip().endswith(b"</Objs>")
    assert b'<S S="Error">' in answer.err
    assert b"FullyQualifiedErrorId : PathNotFound" in answer.err


def test_errors_of_a_plain_command_are_text(windows: Double) -> None:
    answer = windows.ask('powershell -NoProfile -Command "Get-Item C:\\nope"')
    assert answer.code == 1
    assert b"CLIXML" not in answer.err
    assert b"FullyQualifiedErrorId : PathNotFound" in answer.err
    assert b"\x1b[" not in answer.err


@pytest.mark.parametrize(
    ("line", "code", "out"),
    [
        ('powershell -NoProfile -Command "exit 3"', 3, ""),
        ('powershell -nop -c "1+1"', 0, "2"),
        ('powershell.exe "$env:COMPUTERNAME.Length -gt 0"', 0, "True"),
        ("powershell -NoProfile -ec " + encoded('param($x) "x$x"; exit 2'), 2, "x"),
    ],
)
def test_the_command_line(windows: Double, line: str, code: int, out: str) -> None:
    answer = windows.ask(line)
    assert (answer.code, answer.text) == (code, out)


def test_a_file_gets_arguments_and_gives_its_exit_code(windows: Double) -> None:
    windows.path("C:\\t.ps1").write_text('param($A, [switch]$B)\n"A=$A B=$B"\nexit 9\n')
    answer = windows.ask('powershell -NoProfile -ExecutionPolicy Bypass -File C:\\t.ps1 -A "x y" -B')
    assert (answer.code, answer.text) == (9, "A=x y B=True")


def test_a_file_without_exit_ends_with_0(windows: Double) -> None:
    windows.path("C:\\t.ps1").write_text("cmd /c 'nope 2>nul'\n'done'\n")
    answer = windows.ask("powershell -File C:\\t.ps1")
    assert (answer.code, answer.text) == (0, "done")


def test_commands_from_standard_input(windows: Double) -> None:
    assert windows.ask("powershell -NoProfile -Command -", b"$a = 20\n$a + 1\n").lines == ["21"]


def test_drive_c_and_the_machine_s_variables(windows: Double) -> None:
    script = """
    Set-Content -LiteralPath C:\\ProgramData\\a.txt -Value 'one' -Encoding ASCII
    Test-Path -LiteralPath "$env:ProgramData\\A.txt".Replace('A.txt', 'a.txt')
    (Get-Item C:\\ProgramData\\a.txt).Name
    "$env:SystemDrive $env:windir $env:OS"
    (Get-Location).Path.Replace('/', '\\') -eq $env:USERPROFILE
    """
    assert windows.ps(script).lines == ["True", "a.txt", "C: C:\\Windows Windows_NT", "True"]
    assert windows.path("C:\\ProgramData\\a.txt").read_bytes().strip() == b"one"


def test_programs_by_name_and_by_path(windows: Double) -> None:
    script = """
    hostname
    & "$env:windir\\System32\\HOSTNAME.EXE".Replace('HOSTNAME.EXE', 'hostname.exe')
    & 'C:\\Program Files\\WSL\\wsl.exe' --exec /bin/echo real
    & 'C:\\Program Files\\WSL\\wsl.exe' --exec /bin/sh -c 'exit 5'
    $LASTEXITCODE
    """
    lines = windows.ps(script).lines
    assert lines[0] == lines[1]
    assert lines[2:] == ["real", "5"]


def test_linux_programs_do_not_exist(windows: Double) -> None:
    assert (
        windows.ps("try { /bin/true; uname } catch { $_.FullyQualifiedErrorId }").lines[-1]
        == "CommandNotFoundException"
    )


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _gone(pid: int, seconds: float = 5) -> bool:
    end = time.monotonic() + seconds
    while _alive(pid) and time.monotonic() < end:
        time.sleep(0.05)
    return not _alive(pid)


LOOP = "foreach ($l in $input) { [Console]::Out.WriteLine('got ' + $l); [Console]::Out.Flush() }"


def _persistent(double: Double, script: str = LOOP) -> subprocess.Popen[bytes]:
    return double.start(f"powershell.exe -NoLogo -NoProfile -NonInteractive -EncodedCommand {encoded(script)}")


def test_answers_come_line_by_line_while_the_session_stays_open(windows: Double) -> None:
    process = _persistent(windows)
    assert process.stdin is not None
    assert process.stdout is not None
    for word in (b"one", b"two", b"x" * 100_000):
        process.stdin.write(word + b"\n")
        process.stdin.flush()
        assert process.stdout.readline().rstrip() == b"got " + word
    process.stdin.close()
    assert process.wait(timeout=10) == 0
    assert sum(entry["program"] == "powershell.exe" for entry in windows.journal) == 1


def test_the_job_dies_with_the_session_above_it(windows: Double) -> None:
    """sshd's session process is played by a shell that is killed: engine and what it started must go."""
    script = "[Console]::Out.WriteLine($PID); $x = Start-Process -FilePath wsl -ArgumentList '--exec /bin/true' -PassThru; Start-Sleep 60"
    line = f"powershell.exe -NoProfile -EncodedCommand {encoded(script)}"
    environment = windows.environment | {"SSH_ORIGINAL_COMMAND": line}
    session = subprocess.Popen(
        ["/bin/sh", "-c", f"{CODE}/shell; :"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert session.stdout is not None
    pid = int(session.stdout.readline())
    assert _alive(pid)
    os.kill(session.pid, signal.SIGKILL)
    session.wait(timeout=5)
    assert _gone(pid)


def test_the_job_closes_when_powershell_ends(windows: Double) -> None:
    """A process left in the background does not survive the command, as with KILL_ON_JOB_CLOSE."""
    script = "$p = Start-Process -FilePath powershell.exe -ArgumentList '-NoProfile','-Command','Start-Sleep 60' -PassThru; $p.Id; exit 0"
    answer = windows.ps(script)
    assert answer.code == 0
    assert _gone(int(answer.lines[0]))
