"""Requests as sshd hands them over: cmd.exe, small programs, exit codes, the journal."""

import os
import signal
import time

import pytest

from tests.windows_double.conftest import Double

pytestmark = pytest.mark.lab


def test_a_line_over_the_limit_fails_with_cmd_s_own_words(double: Double) -> None:
    answer = double.ask("echo " + "x" * 8200)
    assert (answer.code, answer.out, answer.err) == (1, b"", b"The command line is too long.\r\n")


def test_an_unknown_program_fails_with_cmd_s_own_words(double: Double) -> None:
    answer = double.ask("ls -la")
    assert answer.code == 1
    assert (
        answer.err
        == b"'ls' is not recognized as an internal or external command,\r\noperable program or batch file.\r\n"
    )


def test_no_command_says_what_this_is(double: Double) -> None:
    answer = double.ask("")
    assert answer.code == 0
    assert b"Windows double" in answer.out


@pytest.mark.parametrize(
    ("line", "out", "code"),
    [
        ("hostname && echo ok", None, 0),
        ("nope 2>nul || echo saved", "saved", 0),
        ("nope 2>nul && echo never", "", 1),
        ("exit 7", "", 7),
        ("exit /b 300", "", 44),
        ("echo a& echo b", "a\nb", 0),
        ("set X=1&& set X", "X=1", 0),
        ("cmd /c echo inner", "inner", 0),
        ("echo hidden >nul", "", 0),
    ],
)
def test_chains_and_exit_codes(double: Double, line: str, out: str | None, code: int) -> None:
    answer = double.ask(line)
    assert answer.code == code
    if out is not None:
        assert answer.text == out


def test_a_redirection_writes_on_drive_c(double: Double) -> None:
    assert double.ask("echo one> C:\\Windows\\Temp\\a.txt").code == 0
    assert double.ask("type c:\\windows\\temp\\A.TXT").text == "one"
    assert double.path("C:\\Windows\\Temp\\a.txt").read_bytes() == b"one\r\n"


def test_text_leaves_in_the_oem_code_page(double: Double) -> None:
    assert double.ask("echo é").out == b"\x82\r\n"


def test_machine_variables_are_those_of_the_registry_at_login(double: Double) -> None:
    key = "HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Control\\Session Manager\\Environment"
    text = (double.home / "registry.json").read_text()
    assert key.replace("\\", "\\\\") in text
    (double.home / "registry.json").write_text(
        text.replace('"OS": "Windows_NT"', '"OS": "Windows_NT", "WSL_UTF8": "1"')
    )
    assert double.ask("echo %WSL_UTF8%").text == "1"


def test_slow_start_delays_each_process(double: Double) -> None:
    double.control("slow", "0.2")
    began = time.monotonic()
    double.ask("hostname & hostname")
    assert time.monotonic() - began >= 0.4


def test_french_windows_speaks_french(double: Double) -> None:
    double.control("language", "fr")
    assert double.ask("nope").err.decode("cp850").startswith("'nope' n?est pas reconnu")
    assert "BUILTIN\\Administrateurs" in double.ask("whoami /groups").out.decode("cp850")
    assert "AUTORITE NT\\Système" in double.ask("icacls C:\\Windows").out.decode("cp850")
    double.control("language", "en")
    assert "BUILTIN\\Administrators" in double.ask("whoami /groups").text


def test_reset_forgets_everything(double: Double) -> None:
    double.control("edition", "home")
    double.control("slow", "3")
    assert double.control("reset").returncode == 0
    assert double.state["computer"]["EditionID"] == "Professional"
    assert not (double.home / "knobs.json").exists()


def test_control_refuses_unknown_words(double: Double) -> None:
    done = double.control("explode")
    assert done.returncode == 2
    assert "unknown word: explode" in done.stderr


def test_reboot_brings_automatic_services_back(double: Double) -> None:
    before = double.state
    assert before["services"]["SharedAccess"]["Status"] == "Running"
    time.sleep(0.01)
    assert double.control("reboot").returncode == 0
    after = double.state
    assert after["booted"] > before["booted"]
    assert after["services"]["sshd"]["Status"] == "Running"
    assert after["services"]["SharedAccess"]["Status"] == "Stopped"


def test_a_reboot_starts_what_is_due_at_start_up(double: Double) -> None:
    double.ask('schtasks /create /tn boot /tr "cmd /c echo up>C:\\boot.txt" /sc onstart /ru SYSTEM')
    double.control("reboot")
    for _ in range(100):
        if double.path("C:\\boot.txt").exists() and double.state["tasks"]["\\boot"]["LastTaskResult"] == 0:
            break
        time.sleep(0.05)
    assert double.path("C:\\boot.txt").read_bytes() == b"up\r\n"
    assert double.state["tasks"]["\\boot"]["LastTaskResult"] == 0


def test_without_an_engine_powershell_says_so(double: Double) -> None:
    double.engine = "/nonexistent"
    answer = double.ask("powershell -Command 1")
    assert answer.code == 1
    assert b"no PowerShell engine" in answer.err


def test_wsl_processes_outlive_a_killed_wsl_session_only_by_their_own_will(double: Double) -> None:
    process = double.start("wsl --exec /bin/cat")
    assert process.stdin is not None
    process.stdin.close()  # the session is gone: standard input ends
    assert process.wait(timeout=10) == 0
    sleeper = double.start("wsl --exec /bin/sleep 60")
    os.kill(sleeper.pid, signal.SIGKILL)
    assert sleeper.wait(timeout=10) == -signal.SIGKILL
