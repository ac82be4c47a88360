"""`@windows/NAME`: a Windows PC over its own OpenSSH server, through one Windows PowerShell that stays open.

A command is the text of a PowerShell script. Its exit code is `$global:LASTEXITCODE` (3010 asks for a reboot) or 1 after an error.
`exit n` inside a script ends the PowerShell with it and counts as that code; the next command starts another.
"""

from __future__ import annotations

import codecs
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import click
from pyinfra.api.command import StringCommand

from citadelle import powershell
from citadelle.connectors import clixml
from citadelle.connectors.counters import count
from citadelle.connectors.host import SSHHostConnector
from citadelle.connectors.process import CUT, Process
from citadelle.connectors.shell import Result
from citadelle.connectors.ssh import Connection, Unreachable
from citadelle.connectors.text import lines
from citadelle.connectors.transfer import Side, open_sftp

START_SECONDS = 60
ANSWER_SECONDS = 30
REFUSED = ("_sudo", "_sudo_user", "_su_user", "_doas", "_doas_user", "_dzdo", "_dzdo_user")


class PowerShell:
    """One powershell.exe kept open: a line of base64 in, a framed line of base64 out, so no code page touches the text."""

    def __init__(self, connection: Connection):
        self._connection = connection
        self._encoding = "utf-8"
        self._process = Process(connection, powershell.START)
        try:
            code, out, err = self._answer(START_SECONDS)
        except TimeoutError:
            code, out, err = None, "", f"no answer after {START_SECONDS} s"
        if code is None:
            self.close()
            raise OSError(
                f"PowerShell does not start: {err or out or 'no answer'}\n"
                "hint: ssh to the PC and try powershell.exe -NoProfile"
            )
        _, self._pid, page = out.split("\n")
        self._encoding = _codec(page)

    @property
    def alive(self) -> bool:
        """Whether it can take a script."""
        return self._process.alive

    def run(self, script: str, seconds: float | None) -> Result:
        """Run a script. Raises `TimeoutError` (the PowerShell is killed), `Unreachable`, ValueError for text that is not Unicode."""
        self._process.write(powershell.request(script))
        try:
            code, out, err = self._answer(seconds)
        except TimeoutError:
            self._kill()
            raise
        if code is None:
            code = self._process.exit_code
            self.close()
            if code < 0:
                raise Unreachable(CUT)
        return Result(code, out.encode(errors="replace"), err.encode(errors="replace"))

    def _answer(self, seconds: float | None) -> tuple[int | None, str, str]:
        """Exit code, output and error text of the script that runs; None for the code when the PowerShell ended instead of answering."""
        seen = {"stdout": bytearray(), "stderr": bytearray()}
        waiting = set(seen)
        for name, block in self._process.blocks(seconds):
            data, mark = seen[name], powershell.MARKS[name]
            data += block
            is_marked = mark in data[-len(block) - len(mark) :]
            if not block or (is_marked and (name == "stderr" or powershell.answer(data))):
                waiting.discard(name)
            if not waiting:
                break
        said = self._said(seen["stderr"])
        if found := powershell.answer(seen["stdout"]):
            return found["code"], _plain("\n".join(found["out"])), _plain(_explain(found["error"], said))
        return None, _plain(seen["stdout"].decode(self._encoding, errors="replace")), _plain(said)

    def _said(self, stderr: bytearray) -> str:
        # Programs write in the PC's own code page; Windows PowerShell's CLIXML too.
        text = stderr.decode(self._encoding, errors="replace")
        return clixml.errors(text).replace(powershell.MARKS["stderr"].decode(), "").strip()

    def _kill(self) -> None:
        """End it by another PowerShell: a script that does not read its input does not see that the channel is closed.

        The job object of its SSH session then ends what it had started. It cannot be another process yet: it holds its number until killed.
        """
        try:
            helper = PowerShell(self._connection)
            helper.run(KILL.format(pid=self._pid), START_SECONDS)
            helper.close()
        finally:
            self.close()

    def close(self) -> None:
        """Let it end; a script that runs is not ended by this."""
        self._process.close()


def _codec(page: str) -> str:
    try:
        return codecs.lookup(f"cp{int(page)}").name
    except LookupError:
        return "utf-8"


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n")


def _explain(error: dict[str, Any] | None, said: str) -> str:
    if not error:
        return said
    what = f"{error['text']}\n({error['id']}, {error['result']}, line {error['line']})"
    return f"{said}\n{what}" if said else what


class WindowsConnector(SSHHostConnector):
    """Scripts in Windows PowerShell as the SSH user, an administrator with an elevated token."""

    group = "windows"

    @staticmethod
    def make_names_data(name: str | None = None) -> Iterator[tuple[str, dict, list[str]]]:
        """`@windows/NAME` in group `windows`."""
        return WindowsConnector.names("windows", name)

    def open_shell(self, line: Connection | None = None) -> PowerShell:
        """Start a PowerShell."""
        count(self.host.name, "powershell")
        return PowerShell(line or self.connection)

    def execute(self, command: StringCommand, print_input: bool, arguments: dict[str, Any]) -> Result:
        """Run one script. `_stdin` and privilege arguments are refused: SSH is elevated already."""
        given = [key for key in (*REFUSED, "_stdin") if arguments.get(key)]
        if given:
            raise OSError(f"not possible on Windows: {', '.join(given)}\nhint: log in as the user that is meant")
        masked, script = str(command), command.get_raw_value() if isinstance(command, StringCommand) else str(command)
        if print_input:
            click.echo(f"{self.host.print_prefix}>>> {masked}", err=True)
        return self.run(_with_context(script, arguments), arguments.get("_timeout") or None)

    def wait_for(self, script: str, is_right: Callable[[str], bool], seconds: float) -> None:
        """Ask over new connections until the PC answers `script` as is right, as after a restart. Raises OSError when time is up."""
        end = time.monotonic() + seconds
        while True:
            self.disconnect()
            self.connection.close()
            try:
                if is_right(self.run(script, ANSWER_SECONDS).stdout.decode().strip()):
                    return
            except (OSError, TimeoutError):
                pass  # not there, or not yet
            if time.monotonic() > end:
                raise OSError(
                    f"{self.host.name}: PC is not there again after {seconds / 60:.0f} minutes\nhint: look at its console"
                )
            time.sleep(1)

    def files(self, arguments: Mapping[str, Any]) -> Side:
        """The PC's files, as the SSH user sees them."""
        return WindowsFiles(self)


class WindowsFiles:
    """The files of a Windows PC; see `transfer.Side`. Paths are `C:\\x` or `C:/x`, SFTP writes them `/C:/x`."""

    def __init__(self, connector: WindowsConnector):
        self._connector = connector

    def _run(self, script: str, **values: object) -> str:
        result = self._connector.run(powershell.assign(**values) + script, None)
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

    def create(self, path: str) -> str:
        """Make an empty file beside it, readable by administrators and the system only."""
        part = f"{path}.{secrets.token_hex(6)}.part"
        self._run(CREATE, part=part)
        return part

    def digest(self, path: str) -> str:
        """SHA-256 by the PC's own program."""
        return self._run("(Get-FileHash -LiteralPath $path -Algorithm SHA256).Hash", path=path).strip().lower()

    def place(self, part: str, path: str) -> None:
        """Rename. ReplaceFile keeps the access list of a file that is there; a new one gets that of its folder."""
        self._run(PLACE, part=part, path=path)

    def forget(self, part: str) -> None:
        """Remove."""
        self._run("if (Test-Path -LiteralPath $part) { Remove-Item -LiteralPath $part -Force }", part=part)


KILL = "Stop-Process -Id {pid} -Force -ErrorAction SilentlyContinue"
CREATE = """
New-Item -ItemType File -Path $part | Out-Null
& icacls.exe $part /inheritance:r /grant '*S-1-5-32-544:F' '*S-1-5-18:F' | Out-Null
if ($LASTEXITCODE -ne 0) { throw "icacls: exit code $LASTEXITCODE" }
"""
PLACE = """
if (Test-Path -LiteralPath $path) {
    $new, $old = (Get-Item -LiteralPath $part -Force).FullName, (Get-Item -LiteralPath $path -Force).FullName
    [IO.File]::Replace($new, $old, [NullString]::Value)
} else {
    & icacls.exe $part /reset | Out-Null
    if ($LASTEXITCODE -ne 0) { throw "icacls: exit code $LASTEXITCODE" }
    Move-Item -LiteralPath $part -Destination $path
}
"""


def _with_context(script: str, arguments: dict[str, Any]) -> str:
    lead = "".join(
        f"${{env:{key}}} = {powershell.quote(value)}\n" for key, value in (arguments.get("_env") or {}).items()
    )
    if arguments.get("_chdir"):
        lead += f"Set-Location -LiteralPath {powershell.quote(arguments['_chdir'])}\n"
    return lead + script
