"""What commands are given and what they give back, byte for byte, through the shell that stays open."""

from __future__ import annotations

import io
import os
import subprocess
from pathlib import Path

import pytest

from citadelle.connectors.shell import Result, Shell
from citadelle.connectors.text import lines, windows_lines
from tests.connectors.conftest import Hosts, WindowsPC, the, until
from tests.sshd import Sshd

EVERY_BYTE = bytes(range(256)) * 3
LONG = b"x" * 3_000_000


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"no final newline",
        b"\n\n\nx\n\n",
        EVERY_BYTE,
        b"\xff\xfe\x80\n\xc3",
        b"a\r\nb\r\n",
        LONG,
        LONG + b"\n",
    ],
    ids=[
        "empty",
        "newline",
        "no final newline",
        "newlines",
        "every byte",
        "not UTF-8",
        "crlf",
        "long line",
        "long and ended",
    ],
)
def test_both_streams_arrive_whole_and_apart(shell: Shell, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "out").write_bytes(content)
    (tmp_path / "err").write_bytes(content[::-1])
    result = shell.run(f"cat {tmp_path}/out; cat {tmp_path}/err >&2; exit 3")
    assert result == Result(3, content, content[::-1])


@pytest.mark.parametrize(
    "content", [b"x", b"\n\n", EVERY_BYTE, LONG[:300_000]], ids=["byte", "newlines", "every byte", "long line"]
)
def test_standard_input_arrives_whole(shell: Shell, content: bytes) -> None:
    assert shell.run("cat", content) == Result(0, content, b"")


def test_a_command_gets_no_input_but_its_own(shell: Shell) -> None:
    assert shell.run("cat; readlink /proc/self/fd/0") == Result(0, b"/dev/null\n", b"")
    assert shell.run("true", b"never read " * 100_000) == Result(0, b"", b"")
    assert shell.run("ls /proc/self/fd | wc -l").stdout == b"4\n", (
        "no descriptor of the shell's own is left to a command"
    )


def test_ten_megabytes_of_both_streams_at_once(shell: Shell) -> None:
    size = 10 * 1024 * 1024
    result = shell.run(f"head -c {size} /dev/zero | tr '\\0' e >&2 & head -c {size} /dev/zero | tr '\\0' o; wait")
    assert (len(result.stdout), len(result.stderr)) == (size, size)
    assert (set(result.stdout), set(result.stderr)) == (set(b"o"), set(b"e"))


@pytest.mark.parametrize(
    "text",
    ["'", "$HOME `id` \\", "\\\\n%s", "EOP\nEOP", "TOKEN", "é€𝄞\u2028", "tab\tbell\a", "} ) ;;", "#", "-n"],
)
def test_text_of_every_kind_is_only_text(shell: Shell, text: str) -> None:
    quoted = "'" + text.replace("'", "'\\''") + "'"
    assert shell.run(f"printf %s {quoted}") == Result(0, text.encode(), b"")
    assert shell.run(f"cat <<'X'\n{text}\nX") == Result(0, f"{text}\n".encode(), b"")


def test_names_that_are_not_utf8_are_their_own_bytes_again(shell: Shell, tmp_path: Path) -> None:
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xe9"))).write_text("latin")
    (found,) = os.listdir(tmp_path)
    assert shell.run(f"cat {tmp_path}/{found}") == Result(0, b"latin", b"")


def test_what_stays_in_the_background_does_not_disturb_later_commands(shell: Shell, tmp_path: Path) -> None:
    chatter = f"while [ ! -e {tmp_path}/stop ]; do echo noise; echo noise >&2; sleep 0.005; done"
    assert shell.run(f"({chatter}) & echo started").stdout.replace(b"noise\n", b"") == b"started\n"
    for number in range(20):
        result = shell.run(f"echo {number}; exit {number}")
        assert (result.code, result.stdout.replace(b"noise\n", b"")) == (number, b"%d\n" % number)
    shell.run(f"touch {tmp_path}/stop")
    until(lambda: shell.run("echo quiet") == Result(0, b"quiet\n", b""))


@pytest.mark.parametrize("program", ["if", "echo 'open", "cat <<X\nnever ended", "}", "exit"])
def test_a_program_that_does_not_parse_or_ends_the_shell_leaves_it_usable(shell: Shell, program: str) -> None:
    result = shell.run(program)
    assert (result.code, bool(result.stderr)) == ((0, False) if program == "exit" else (2, True))
    assert shell.run("echo next") == Result(0, b"next\n", b"")


@pytest.mark.parametrize(
    "given",
    ["one", "one\n", ["one"], ["one\n"], io.StringIO("one\n"), b"one\n"],
    ids=["text", "text with newline", "lines", "lines with newline", "file", "bytes"],
)
def test_stdin_of_an_operation_is_that_of_pyinfras_own_connector(hosts: Hosts, linux_pc: Sshd, given: object) -> None:
    host = the(hosts({"@linux/pc": linux_pc.data}), "@linux/pc")
    assert host.run_shell_command("od -An -c", _stdin=given)[1].stdout_lines == ["   o   n   e  \\n"]


def test_lines_are_those_of_pyinfras_own_connector(hosts: Hosts, linux_pc: Sshd, tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"crlf\r\n\n  blanks \ttab\x00nul\nlast \xc3\xa9")
    found = []
    for name in ("@linux/pc", "@ssh/pc"):
        host = the(hosts({name: linux_pc.data}), name)
        right, output = host.run_shell_command(f"cat {tmp_path}/text; cat {tmp_path}/text >&2; exit 4")
        found.append((right, output.stdout_lines, output.stderr_lines))
    assert found[0] == found[1] == (False, *[["crlf\r", "", "  blanks \ttab\x00nul", "last é"]] * 2)


def test_bytes_that_are_no_text_fail_nobody(hosts: Hosts, linux_pc: Sshd) -> None:
    host = the(hosts({"@linux/pc": linux_pc.data}), "@linux/pc")
    right, output = host.run_shell_command("printf 'a\\377b\\n\\300\\n'; printf '\\200' >&2")
    assert (right, output.stdout_lines, output.stderr_lines) == (True, ["a\ufffdb", "\ufffd"], ["\ufffd"])
    right, output = host.run_shell_command("echo \ud800")
    assert not right
    assert "surrogates not allowed" in output.stderr


@pytest.mark.lab
def test_commands_run_in_wsl_byte_for_byte_too(hosts: Hosts, windows_pc: WindowsPC, tmp_path: Path) -> None:
    host = the(hosts({"@wsl/pc": windows_pc.data}), "@wsl/pc")
    (tmp_path / "x").write_bytes(EVERY_BYTE)
    right, output = host.run_shell_command(f"sha256sum - {tmp_path}/x; exit 0", _stdin=EVERY_BYTE)
    digest = subprocess.run(["sha256sum", tmp_path / "x"], capture_output=True, text=True, check=True).stdout.split()[0]
    assert right
    assert [line.split()[0] for line in output.stdout_lines] == [digest, digest]


def test_messages_of_wsl_are_utf16_or_utf8() -> None:
    text = "Il n’existe aucune distribution.\r\nCode d’erreur : X\r\n"
    assert (
        windows_lines(text.encode("utf-16-le")) == windows_lines(text.encode()) == text.replace("\r", "").splitlines()
    )
    assert windows_lines("a\r\n".encode("utf-16-le") + b"plain\r\n") == ["a", "plain"]
    assert lines(b"") == windows_lines(b"") == []
