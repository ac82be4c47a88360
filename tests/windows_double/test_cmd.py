"""How cmd.exe reads a line, and how a program splits its own."""

import pytest
from double import argv, cmd

ENVIRONMENT = {"COMPUTERNAME": "PC1", "windir": "C:\\Windows"}


# The table of "Parsing C command-line arguments" in Microsoft's documentation, then usual Windows lines.
@pytest.mark.parametrize(
    ("line", "words"),
    [
        (r'"a b c" d e', ["a b c", "d", "e"]),
        (r'"ab\"c" "\\" d', ['ab"c', "\\", "d"]),
        (r'a\\\b d"e f"g h', [r"a\\\b", "de fg", "h"]),
        (r"a\\\"b c d", [r"a\"b", "c", "d"]),
        (r'a\\\\"b c" d e', [r"a\\b c", "d", "e"]),
        (r'a"b"" c d', ['ab" c d']),
        (r'-d "My Distro" --exec /bin/sh -c "echo \"x\""', ["-d", "My Distro", "--exec", "/bin/sh", "-c", 'echo "x"']),
        ('""', [""]),
        ("  a\t b ", ["a", "b"]),
        (r'"C:\Program Files\\" x', ["C:\\Program Files\\", "x"]),
        ("", []),
    ],
)
def test_arguments_are_split_as_windows_splits_them(line: str, words: list[str]) -> None:
    assert argv.split_arguments(line) == words


@pytest.mark.parametrize(
    ("line", "program", "rest"),
    [
        (r'"C:\Program Files\WSL\wsl.exe" -l', r"C:\Program Files\WSL\wsl.exe", " -l"),
        (r"C:\x\y.exe -a", r"C:\x\y.exe", " -a"),
        (r'"a\"b', "a\\", "b"),
        ("hostname", "hostname", ""),
    ],
)
def test_in_the_program_name_a_backslash_is_plain(line: str, program: str, rest: str) -> None:
    assert argv.split_program(line) == (program, rest)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("echo %COMPUTERNAME%", [("", "echo PC1")]),
        ("echo %computername% %NOPE%", [("", "echo PC1 %NOPE%")]),
        ("a && b || c & d | e", [("", "a "), ("&&", "b "), ("||", "c "), ("&", "d "), ("|", "e")]),
        ('echo "a && b | c" ^& d', [("", 'echo "a && b | c" & d')]),
        ('echo "^&"', [("", 'echo "^&"')]),
        ("echo a^^b", [("", "echo a^b")]),
        ("a\nb", [("", "a")]),
        ("powershell -EncodedCommand YQA=", [("", "powershell -EncodedCommand YQA=")]),
        ("a &", [("", "a ")]),
    ],
)
def test_a_line_is_read_as_cmd_reads_it(line: str, expected: list[tuple[str, str]]) -> None:
    assert [(command.joined_by, command.text) for command in cmd.parse(line, ENVIRONMENT)] == expected


def test_redirections_leave_the_text() -> None:
    (command,) = cmd.parse('foo x 2>&1 >> "C:\\a b.txt" < nul', ENVIRONMENT)
    assert command.text.rstrip() == "foo x"
    found = [(r.handle, r.mode, r.target) for r in command.redirections]
    assert found == [(2, ">", "&1"), (1, ">>", "C:\\a b.txt"), (0, "<", "nul")]


@pytest.mark.parametrize("line", ["a && ", "&& a", "a | | b"])
def test_a_dangling_operator_is_refused(line: str) -> None:
    with pytest.raises(SyntaxError):
        cmd.parse(line, ENVIRONMENT)


def test_blocks_are_not_played() -> None:
    with pytest.raises(cmd.NotPlayed):
        cmd.parse("(echo a)", ENVIRONMENT)


def test_the_limit_counts_the_whole_line_of_sshd() -> None:
    room = cmd.LIMIT - len(cmd.PREFIX) - 1
    assert not cmd.too_long("x" * room)
    assert cmd.too_long("x" * (room + 1))
