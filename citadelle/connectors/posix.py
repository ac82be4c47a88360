"""What `@linux` and `@wsl` share: a persistent root shell, and files over SFTP that are judged by their digest."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any, ClassVar

import click
from pyinfra.api.command import StringCommand
from pyinfra.connectors.util import extract_control_arguments, make_unix_command_for_host

from citadelle.connectors.host import SSHHostConnector
from citadelle.connectors.posix_files import PosixFiles
from citadelle.connectors.shell import Result, Shell, ShellRefused
from citadelle.connectors.ssh import Connection
from citadelle.connectors.text import lines
from citadelle.connectors.transfer import Side


class PosixConnector(SSHHostConnector):
    """Commands of a POSIX system, run as root unless `_sudo_user` or `_su_user` says otherwise.

    As root the text of a command stands in no argument of a process; as another user, or with another shell, it does.
    """

    SHELL: ClassVar[str]
    SFTP: ClassVar[str]

    def open_shell(self, line: Connection | None = None) -> Shell:
        """A root shell on the host."""
        try:
            return Shell(line or self.connection, self.SHELL)
        except ShellRefused as error:
            raise OSError(self.refused(error)) from error

    def refused(self, error: ShellRefused) -> str:
        """Message and hint for a shell that does not start."""
        said = " ".join(lines(error.output)).strip() or f"exit code {error.code}"
        return (
            f"{self.host.name}: no root shell: {said}\nhint: {self.data['ssh_user']} must be allowed `sudo -n /bin/sh`"
        )

    def execute(self, command: StringCommand, print_input: bool, arguments: dict[str, Any]) -> Result:
        """Run through the open shell."""
        control = extract_control_arguments(arguments)
        unix = self.unix(command, arguments)
        if print_input:
            click.echo(f"{self.host.print_prefix}>>> {unix}", err=True)
        program = unix.get_raw_value()
        if control.get("_get_pty"):
            program = f"SHELL=/bin/sh script -qec {shlex.quote(program)} /dev/null"
        return self.run(program, _stdin(control.get("_stdin")), control.get("_timeout") or None)

    def unix(self, command: StringCommand, arguments: Mapping[str, Any]) -> StringCommand:
        """The command for the root shell, by pyinfra's own rules."""
        found = dict(arguments)
        extract_control_arguments(found)
        for verb in needless(found):
            del found[verb]
        if not is_other_user(found) and found.get("_shell_executable", "sh") == "sh":
            found["_shell_executable"] = None  # ours is one: `sh -c TEXT` would show the text to every process
        return make_unix_command_for_host(self.state, self.host, command, **found)

    def files(self, arguments: Mapping[str, Any]) -> Side:
        """The host's files, as root sees them, or as the user that `arguments` ask for."""
        return PosixFiles(self, arguments if is_other_user(arguments) else {})

    def sh(self, program: str, *values: str, arguments: Mapping[str, Any]) -> str:
        """Run a small program with `$1`, `$2`.. as given; returns stdout. Raises OSError with its message when it fails."""
        given = " ".join(shlex.quote(value) for value in values)
        unix = self.unix(StringCommand(f"set -- {given}\n{program}"), arguments)
        result = self.run(unix.get_raw_value())
        if result.code:
            raise OSError(" ".join(lines(result.stderr)) or f"exit code {result.code}: {program}")
        return result.stdout.decode(errors="replace")


def needless(arguments: Mapping[str, Any]) -> list[str]:
    """Arguments that only make root of root: the host may have none of these programs."""
    asked = [verb for verb in ("_sudo", "_doas", "_dzdo") if arguments.get(verb)]
    logins = {"_sudo"} if arguments.get("_use_sudo_login") else set()
    return [verb for verb in asked if arguments.get(f"{verb}_user") in (None, "", "root") and verb not in logins]


def is_other_user(arguments: Mapping[str, Any]) -> bool:
    """Whether the root shell alone does not do."""
    asked = {verb for verb in ("_sudo", "_doas", "_dzdo", "_su_user") if arguments.get(verb)}
    return bool(asked.difference(needless(arguments)))


def _stdin(value: Any) -> bytes | None:
    """Bytes as they are, lines of text as pyinfra sends them: each ends with one newline."""
    if value is None or isinstance(value, bytes):
        return value
    if hasattr(value, "readlines"):
        value = value.readlines()
    given = value if isinstance(value, list | tuple) else [value]
    return b"".join(f"{str(line).removesuffix(chr(10))}\n".encode() for line in given)
