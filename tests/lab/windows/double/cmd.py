"""cmd.exe's reading of one line: variables, carets, quotes, operators, redirections. No blocks, no `for`, no `if`."""

import re
from dataclasses import dataclass, field

LIMIT = 8191  # characters of a command line that cmd.exe accepts
PREFIX = '"c:\\windows\\system32\\cmd.exe" /c "'  # what sshd puts in front, with a closing quote behind
OPERATORS = ("&&", "||", "&", "|")


class NotPlayed(Exception):
    """A construct of cmd.exe that the double does not know."""


@dataclass
class Redirection:
    """`2>&1`, `>file`, `>>file`, `<file`."""

    handle: int
    mode: str
    target: str


@dataclass
class Command:
    """One program start: its raw text, and the operator that joins it to what stood before."""

    text: str
    joined_by: str = ""
    redirections: list[Redirection] = field(default_factory=list)


def too_long(request: str) -> bool:
    """True when sshd's whole `cmd.exe /c "<request>"` line is over the limit."""
    return len(PREFIX) + len(request) + 1 > LIMIT


def expand(text: str, environment: dict[str, str]) -> str:
    """Replaces %NAME% as outside batch files: an unknown name stays as it was typed."""
    upper = {name.upper(): value for name, value in environment.items()}
    return re.sub(r"%([^%\s=:]+)%", lambda found: upper.get(found[1].upper(), found[0]), text)


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.quoted = False
        self.commands = [Command("")]

    @property
    def last(self) -> Command:
        return self.commands[-1]

    def read(self) -> list[Command]:
        while self.at < len(self.text):
            self._step(self.text[self.at])
        return self.commands

    def _step(self, char: str) -> None:
        if char == '"':
            self.quoted = not self.quoted
        if self.quoted or char == '"':
            self._keep(char)
        elif char == "^":
            self._keep(self.text[self.at + 1 : self.at + 2])
            self.at += 1
        elif char in "&|":
            self._operator()
        elif char in "<>":
            self._redirection()
        elif char in "()" and not self.last.text.strip():
            raise NotPlayed("blocks in parentheses")
        else:
            self._keep(char)

    def _keep(self, char: str) -> None:
        self.last.text += char
        self.at += 1

    def _operator(self) -> None:
        sign = next(sign for sign in OPERATORS if self.text.startswith(sign, self.at))
        self.at += len(sign)
        self.commands.append(Command("", sign))

    def _redirection(self) -> None:
        sign = ">>" if self.text.startswith(">>", self.at) else self.text[self.at]
        handle = 0 if sign == "<" else 1
        if re.search(r"(^|[\s])\d$", self.last.text):
            handle = int(self.last.text[-1])
            self.last.text = self.last.text[:-1]
        self.at += len(sign)
        found = re.compile(r'\s*(&\d|"[^"]*"|[^\s&|<>]+)').match(self.text, self.at)
        if not found:
            raise SyntaxError("The syntax of the command is incorrect.")
        self.at = found.end()
        self.last.redirections.append(Redirection(handle, sign, found[1].strip('"')))


def parse(request: str, environment: dict[str, str]) -> list[Command]:
    """The commands of one line, in order. A line break ends the line, as in cmd.exe."""
    line = re.split(r"[\r\n]", request, maxsplit=1)[0]
    commands = _Reader(expand(line, environment)).read()
    for command in commands:
        command.text = command.text.lstrip(" \t,;=@")  # blanks behind stay: `echo a & b` and `set X=1 && b` keep them
    if len(commands) > 1 and not commands[-1].text and commands[-1].joined_by == "&":
        commands.pop()
    if len(commands) > 1 and any(not command.text for command in commands):
        raise SyntaxError(f"{next(c.joined_by for c in commands if c.joined_by)} was unexpected at this time.")
    return commands
