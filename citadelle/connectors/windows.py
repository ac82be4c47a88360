"""`@windows/NAME`: a Windows PC over its own OpenSSH server, through one Windows PowerShell that stays open.

A command is the text of a PowerShell script. Its exit code is `$global:LASTEXITCODE` (3010 asks for a reboot) or 1 after an error.
`exit n` inside a script ends the PowerShell with it and counts as that code; the next command starts another.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import IOBase
from typing import Any

import click
from pyinfra.api.command import StringCommand
from pyinfra.api.util import get_file_io
from pyinfra.connectors.util import CommandOutput

from citadelle import powershell
from citadelle.connectors import clixml
from citadelle.connectors.counters import count
from citadelle.connectors.posix import SSHHostConnector
from citadelle.connectors.process import Process
from citadelle.connectors.shell import Result
from citadelle.connectors.ssh import Connection, Unreachable
from citadelle.connectors.text import lines
from citadelle.connectors.transfer import download, open_sftp, upload

START_SECONDS = 60
REFUSED = ("_sudo", "_sudo_user", "_su_user", "_doas", "_doas_user", "_dzdo", "_dzdo_user")


class PowerShell:
    """One powershell.exe kept open: a line of base64 in, a framed line of base64 out, so no code page touches the text."""

    def __init__(self, connection: Connection):
        self._process = Process(connection, powershell.START)
        code, out, err = self._answer(START_SECONDS)
        if code is None or not out:
            self.close()
            raise OSError(
                f"PowerShell does not start: {err or 'no answer'}\nhint: ssh to the PC and try powershell.exe -NoProfile"
            )

    @property
    def alive(self) -> bool:
        """Whether it can take a script."""
        return self._process.alive

    def run(self, script: str, seconds: float | None) -> Result:
        """Run a script. Raises `TimeoutError` (the PowerShell is ended) and `Unreachable`."""
        self._process.write(powershell.request(script))
        try:
            code, out, err = self._answer(seconds)
        except TimeoutError:
            self.close()
            raise
        if code is None:
            code = self._process.exit_code
            self.close()
            if code < 0:
                raise Unreachable("connection cut during a script")
        return Result(code, out.encode(), err.encode())

    def _answer(self, seconds: float | None) -> tuple[int | None, str, str]:
        seen = {"stdout": b"", "stderr": b""}
        ended = set()
        for name, block in self._process.blocks(seconds):
            seen[name] += block
            if b":B64@@" in seen["stdout"] and (found := powershell.answer(seen["stdout"])):
                return found["code"], "\n".join(found["out"]), _explain(found["error"], seen["stderr"])
            if not block:
                ended.add(name)
            if len(ended) == len(seen):
                break
        return None, "\n".join(lines(seen["stdout"])), clixml.errors(seen["stderr"].decode(errors="replace"))

    def close(self) -> None:
        """End it; the job object of the session ends what it had started."""
        self._process.close()


def _explain(error: dict[str, Any] | None, stderr: bytes) -> str:
    said = clixml.errors(stderr.decode(errors="replace")).strip()
    if error:
        said += f"{error['text']}\n({error['id']}, {error['result']}, line {error['line']})"
    return said


class WindowsConnector(SSHHostConnector):
    """Scripts in Windows PowerShell as the SSH user, an administrator with an elevated token."""

    group = "windows"

    @staticmethod
    def make_names_data(name: str | None = None) -> Iterator[tuple[str, dict, list[str]]]:
        """`@windows/NAME` in group `windows`."""
        return WindowsConnector.names("windows", name)

    def open_shell(self) -> PowerShell:
        """Start a PowerShell."""
        count(self.host.name, "powershell")
        return PowerShell(self.connection)

    def run_shell_command(
        self, command: StringCommand, print_output: bool = False, print_input: bool = False, **arguments: Any
    ) -> tuple[bool, CommandOutput]:
        """Run one script; see `BaseConnector.run_shell_command`. `_stdin` and privilege arguments are refused: SSH is elevated already."""
        given = [key for key in (*REFUSED, "_stdin") if arguments.get(key)]
        if given:
            raise OSError(
                f"{self.host.name}: not possible on Windows: {', '.join(given)}\nhint: log in as the user that is meant"
            )
        masked, script = str(command), command.get_raw_value() if isinstance(command, StringCommand) else str(command)
        if print_input:
            click.echo(f"{self.host.print_prefix}>>> {masked}", err=True)
        count(self.host.name, "commands")
        script = _with_context(script, arguments)
        result = self.shell().run(script, arguments.get("_timeout") or None)
        accepted = arguments.get("_success_exit_codes") or [0]
        return result.code in accepted, self.show(result, print_output=print_output)

    def put_file(
        self, filename_or_io: Any, remote_filename: str, remote_temp_filename: str | None = None,
        print_output: bool = False, print_input: bool = False, **arguments: Any,
    ) -> bool:  # fmt: skip
        """Upload beside the destination, compare digests, then replace."""
        count(self.host.name, "files")
        with get_file_io(filename_or_io) as source:
            upload(WindowsFiles(self), source, remote_filename)
        return True

    def get_file(
        self, remote_filename: str, filename_or_io: str | IOBase, remote_temp_filename: str | None = None,
        print_output: bool = False, print_input: bool = False, **arguments: Any,
    ) -> bool:  # fmt: skip
        """Download and compare digests."""
        count(self.host.name, "files")
        download(WindowsFiles(self), remote_filename, filename_or_io)
        return True


class WindowsFiles:
    """The files of a Windows PC; see `transfer.Side`. Paths are `C:\\x` or `C:/x`, SFTP writes them `/C:/x`."""

    def __init__(self, connector: WindowsConnector):
        self._connector = connector

    def _run(self, script: str, **values: object) -> str:
        result = self._connector.shell().run(powershell.assign(**values) + script, None)
        if result.code:
            raise OSError(" ".join(lines(result.stderr)))
        return result.stdout.decode()

    def sftp(self) -> Any:
        """The SSH server's own SFTP subsystem."""
        channel = self._connector.connection.channel()
        channel.invoke_subsystem("sftp")
        return open_sftp(channel)

    def remote(self, path: str) -> str:
        """As SFTP writes it."""
        return "/" + path.replace("\\", "/").lstrip("/")

    def create(self, part: str) -> None:
        """Make an empty file, readable by administrators and the system only."""
        self._run(CREATE, part=part)

    def digest(self, path: str) -> str:
        """SHA-256 by the PC's own program."""
        return self._run("(Get-FileHash -LiteralPath $path -Algorithm SHA256).Hash", path=path).strip().lower()

    def place(self, part: str, path: str) -> None:
        """Rename over what is there; the access list is the one of the old file, else of the folder."""
        self._run(PLACE, part=part, path=path)

    def forget(self, part: str) -> None:
        """Remove."""
        self._run("if (Test-Path -LiteralPath $part) { Remove-Item -LiteralPath $part -Force }", part=part)


CREATE = """
New-Item -ItemType File -Path $part -Force | Out-Null
& icacls.exe $part /inheritance:r /grant '*S-1-5-32-544:F' '*S-1-5-18:F' | Out-Null
if ($LASTEXITCODE -ne 0) { throw "icacls: exit code $LASTEXITCODE" }
"""
PLACE = """
if (-not (Test-Path -LiteralPath $path)) {
    & icacls.exe $part /reset | Out-Null
    if ($LASTEXITCODE -ne 0) { throw "icacls: exit code $LASTEXITCODE" }
} else {
    Get-Acl -LiteralPath $path | Set-Acl -LiteralPath $part
}
Move-Item -LiteralPath $part -Destination $path -Force
"""


def _with_context(script: str, arguments: dict[str, Any]) -> str:
    lead = "".join(
        f"${{env:{key}}} = {powershell.quote(value)}\n" for key, value in (arguments.get("_env") or {}).items()
    )
    if arguments.get("_chdir"):
        lead += f"Set-Location -LiteralPath {powershell.quote(arguments['_chdir'])}\n"
    return lead + script
