"""What all our connectors share: a host of an SSH server, a shell that stays open on it, and files that arrive whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from io import IOBase
from typing import Any, ClassVar

import click
from pyinfra import logger
from pyinfra.api.command import StringCommand
from pyinfra.api.exceptions import ConnectError
from pyinfra.api.state import StateStage
from pyinfra.api.util import get_file_io
from pyinfra.connectors.base import BaseConnector, DataMeta
from pyinfra.connectors.ssh import ConnectorData, connector_data_meta
from pyinfra.connectors.util import CommandOutput, OutputLine

from citadelle.connectors.counters import count
from citadelle.connectors.process import NotSent
from citadelle.connectors.shell import Result
from citadelle.connectors.ssh import Connection, Target, connection
from citadelle.connectors.text import lines
from citadelle.connectors.transfer import Side, download, upload

# pyinfra's own default accepts the key of an unknown host.
DATA_META: dict[str, DataMeta] = {
    **connector_data_meta,
    "ssh_strict_host_key_checking": DataMeta("Always strict: `yes` is the only value", "yes"),
}


class SSHHostConnector(BaseConnector):
    """A host of an SSH server that it may share with others; subclasses say how commands run there."""

    handles_execution = True
    data_cls = ConnectorData
    data_meta: ClassVar[dict[str, DataMeta]] = DATA_META
    group: ClassVar[str]

    def __init__(self, state: Any, host: Any):
        super().__init__(state, host)
        self.pc = host.name.partition("/")[2].partition("/")[0]
        self._shell: Any = None

    @classmethod
    def names(cls, kind: str, name: str | None) -> Iterator[tuple[str, dict, list[str]]]:
        """One host `@<kind>/<name>` in the group of the connector; the PC's name is its SSH host name unless data says otherwise."""
        if not name:
            raise SystemExit(f"@{kind}: a PC's name is missing\nhint: @{kind}/NAME")
        yield f"@{kind}/{name}", {"ssh_hostname": name.partition("/")[0]}, [cls.group]

    @property
    def connection(self) -> Connection:
        """The PC's one connection."""
        return connection(Target.from_data(self.pc, self.data))

    @property
    def user(self) -> str:
        """As whom this controller comes."""
        return self.connection.target.user

    def connect(self) -> None:
        """Open the PC's connection. Raises `ConnectError` with what is wrong and its cure."""
        try:
            self.connection.channel().close()
        except OSError as error:
            raise ConnectError(self.told(error)) from error

    def told(self, error: Exception) -> str:
        """`<host>: <what>: <value>` and its hint, as every message to a person."""
        return f"{self.host.name}: {str(error).removeprefix(f'{self.host.name}: ')}"

    def disconnect(self) -> None:
        """Close the shell; the connection is the other hosts' too and ends with the process."""
        if self._shell is not None:
            self._shell.close()
            self._shell = None

    def shell(self) -> Any:
        """The open shell; a dead one is replaced."""
        if self._shell is None or not self._shell.alive:
            self._shell = self.open_shell()
            count(self.host.name, "shells")
        return self._shell

    def open_shell(self, line: Connection | None = None) -> Any:
        """Start a shell on the PC, over its one connection unless another is given."""
        raise NotImplementedError

    def stranger(self, script: str, seconds: float) -> Result:
        """Run one script over a connection of its own: as somebody who was not here before. What is open already proves nothing.

        Raises OSError, `TimeoutError` after `seconds`.
        """
        line = Connection(self.connection.target)
        try:
            result: Result = self.open_shell(line).run(script, seconds=seconds)
            return result
        finally:
            line.close()

    def run(self, *arguments: Any) -> Result:
        """`run` of the open shell; what could not be sent at all is sent once more, over a new line."""
        try:
            return self.shell().run(*arguments)
        except NotSent:
            return self.shell().run(*arguments)

    def execute(self, command: StringCommand, print_input: bool, arguments: dict[str, Any]) -> Result:
        """Run one command. Raises OSError, `TimeoutError`, ValueError."""
        raise NotImplementedError

    def run_shell_command(
        self, command: StringCommand, print_output: bool = False, print_input: bool = False, **arguments: Any
    ) -> tuple[bool, CommandOutput]:
        """See `BaseConnector.run_shell_command`. What keeps a command from running is its error text: it fails this host alone."""
        count(self.host.name, "commands")
        try:
            self._refuse_after_failure()
            result = self.execute(command, print_input, dict(arguments))
        except TimeoutError:
            raise  # pyinfra says after how many seconds
        except (OSError, ValueError) as error:
            result = Result(-1, b"", self.told(error).encode(errors="replace"))
        accepted = arguments.get("_success_exit_codes") or [0]
        return result.code in accepted, self.show(result, print_output=print_output)

    def _refuse_after_failure(self) -> None:
        # When a fact cannot be read, pyinfra marks the host as failed, and goes on in the same operation with the fact's default.
        if self.host in self.state.failed_hosts and self.state.current_stage == StateStage.Execute:
            raise OSError("not carried out: the host has failed in this run already")

    def files(self, arguments: Mapping[str, Any]) -> Side:
        """The host's files, as seen by the user that an operation's `arguments` name."""
        raise NotImplementedError

    def put_file(
        self, filename_or_io: Any, remote_filename: str, remote_temp_filename: str | None = None,
        print_output: bool = False, print_input: bool = False, **arguments: Any,
    ) -> bool:  # fmt: skip
        """Upload beside the destination, compare digests, then rename. A file that is there keeps its mode and owner."""

        def send() -> None:
            with get_file_io(filename_or_io) as source:
                upload(self.files(arguments), source, remote_filename)

        return self._transfer(send, print_output and f"file uploaded: {remote_filename}")

    def get_file(
        self, remote_filename: str, filename_or_io: str | IOBase, remote_temp_filename: str | None = None,
        print_output: bool = False, print_input: bool = False, **arguments: Any,
    ) -> bool:  # fmt: skip
        """Download and compare digests. A local file appears only when it is right."""
        fetch = partial(download, self.files(arguments), remote_filename, filename_or_io)
        return self._transfer(fetch, print_output and f"file downloaded: {remote_filename}")

    def _transfer(self, move: Callable[[], None], done: str | bool) -> bool:
        count(self.host.name, "files")
        try:
            self._refuse_after_failure()
            move()
        except (OSError, ValueError) as error:
            for line in self.told(error).splitlines():
                logger.error(f"{self.host.print_prefix}{click.style(line, fg='red')}")
            return False
        if done:
            logger.info(f"{self.host.print_prefix}{done}")
        return True

    def show(self, result: Result, *, print_output: bool) -> CommandOutput:
        """Lines of both streams, printed with the host's prefix when asked."""
        found = [OutputLine("stdout", line) for line in lines(result.stdout)]
        found += [OutputLine("stderr", line) for line in lines(result.stderr)]
        if print_output:
            for line in found:
                text = click.style(line.line, fg="red") if line.buffer_name == "stderr" else line.line
                logger.info(f"{self.host.print_prefix}{text}")
        return CommandOutput(found)
