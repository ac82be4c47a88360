"""wsl.exe: messages, registrations, commands that run for real."""

import os

import pytest

from tests.conftest import shared_path
from tests.windows_double.conftest import Double

pytestmark = pytest.mark.lab

EXE = '"C:\\Program Files\\WSL\\wsl.exe"'


def _utf16(data: bytes) -> str:
    return data.decode("utf-16-le")


@pytest.mark.parametrize("program", [EXE, "wsl", "wsl.exe", "C:\\Windows\\System32\\wsl.exe"])
def test_a_command_runs_for_real_with_its_exit_code(double: Double, program: str) -> None:
    answer = double.ask(f'{program} -d citadelle -u root --exec /bin/sh -c "cat; id -un; exit 7"', b"bytes \xff\n")
    assert (answer.code, answer.out) == (7, b"bytes \xff\nroot\n" if os.geteuid() == 0 else answer.out)


def test_the_surroundings_are_those_of_linux(double: Double) -> None:
    answer = double.ask(f'{EXE} -u root --cd /tmp --exec /bin/sh -c "pwd; echo $PATH; echo $WSL_DISTRO_NAME; env"')
    lines = answer.out.decode().splitlines()
    assert lines[:3] == ["/tmp", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "citadelle"]
    assert not any(line.startswith(("WINDOWS_DOUBLE", "SSH_", "SystemRoot", "USERPROFILE")) for line in lines)


def test_without_exec_the_user_s_shell_gets_the_line_as_typed(double: Double) -> None:
    assert double.ask(f'{EXE} -u root -- echo "a  b" $((1+1))').out == b"a  b 2\n"
    assert double.ask(f"{EXE} -u root uname").out == b"Linux\n"


def test_a_missing_program_is_an_error(double: Double) -> None:
    answer = double.ask(f"{EXE} --exec /no/such/program")
    assert answer.code != 0
    assert b"No such file or directory" in answer.err


def test_own_messages_are_utf16_without_mark_with_crlf(double: Double) -> None:
    answer = double.ask(f"{EXE} -d nope --exec /bin/true")
    assert answer.code == 255
    text = "There is no distribution with the supplied name.\r\nError code: Wsl/Service/WSL_E_DISTRO_NOT_FOUND\r\n"
    assert answer.out == text.encode("utf-16-le")


def test_a_machine_wide_wsl_utf8_changes_them(double: Double) -> None:
    path = double.home / "registry.json"
    path.write_text(path.read_text().replace('"OS": "Windows_NT"', '"OS": "Windows_NT", "WSL_UTF8": "1"'))
    assert double.ask(f"{EXE} -l -q").out == b"citadelle\r\n"


def test_the_verbose_list_has_the_genuine_layout(double: Double) -> None:
    genuine = shared_path("data", "windows", "wsl", "list-verbose.docker14686.utf16le.bin").read_bytes()
    answer = double.ask(f"{EXE} -l -v")
    head, row = _utf16(answer.out).split("\r\n")[:2]
    assert genuine.startswith(b"\x20\x00\x20\x00N\x00")
    assert head.split() == _utf16(genuine).split("\r\n")[0].split() == ["NAME", "STATE", "VERSION"]
    assert row == "* citadelle    Running         2"
    assert head == "  NAME         STATE           VERSION"


def test_texts_are_the_genuine_templates(double: Double) -> None:
    double.control("language", "fr")
    assert _utf16(double.ask(f"{EXE} --status").out).replace("\xa0", " ").splitlines() == [
        "Distribution par défaut : citadelle",
        "Version par défaut : 2",
    ]
    assert _utf16(double.ask(f"{EXE} --version").out).replace("\xa0", " ").startswith("Version WSL : 2.")


def test_a_missing_distribution(double: Double) -> None:
    assert double.control("distro", "missing").returncode == 0
    answer = double.ask(f"{EXE} --exec /bin/true")
    assert answer.code == 255
    assert "WSL_E_DEFAULT_DISTRO_NOT_FOUND" in _utf16(answer.out)
    double.control("distro", "present")
    assert double.ask(f"{EXE} -d CITADELLE --exec /bin/true").code == 0


def test_import_registers_once_and_unregister_forgets(double: Double) -> None:
    double.path("C:\\rootfs.tar").write_bytes(b"x")
    line = f"{EXE} --import llm C:\\WSL\\llm C:\\rootfs.tar --version 2"
    assert double.ask(line).code == 0
    again = double.ask(line)
    assert again.code == 255
    assert "ERROR_ALREADY_EXISTS" in _utf16(again.out)
    assert "llm" in _utf16(double.ask(f"{EXE} -l -q").out).split()
    assert double.ask(f"{EXE} --unregister llm").code == 0
    assert _utf16(double.ask(f"{EXE} -l -q").out).split() == ["citadelle"]


def test_an_import_of_nothing_fails(double: Double) -> None:
    assert double.ask(f"{EXE} --import x C:\\x C:\\nope.tar").code == 255
    assert _utf16(double.ask(f"{EXE} -l -q").out).split() == ["citadelle"]


def test_distributions_belong_to_a_user_and_system_has_none(double: Double) -> None:
    double.extra["WINDOWS_DOUBLE_USER"] = "Guest"
    assert "WSL_E_DEFAULT_DISTRO_NOT_FOUND" in _utf16(double.ask(f"{EXE} --exec /bin/true").out)
    double.extra["WINDOWS_DOUBLE_USER"] = "SYSTEM"
    assert "Running WSL as local system is not supported." in _utf16(double.ask(f"{EXE} -l").out)


def test_an_unknown_option_is_refused(double: Double) -> None:
    assert double.ask(f"{EXE} --frobnicate").code == 255
