"""`@wsl/NAME[/DISTRO]`: the WSL distribution of a Windows PC, over the PC's own SSH server.

Stock operations run unchanged: they see a Linux root shell. While the distribution does not exist yet, planning sees empty facts, so
that one run can set up Windows first and the distribution afterwards.

A distribution belongs to one Windows account: wsl.exe shows nobody another's. So this connector logs in as its owner (`wsl_user`), which is
no administrator, and not as `ssh_user`; while that account does not exist yet, planning sees empty facts too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar

from pyinfra.api.command import StringCommand
from pyinfra.api.exceptions import ConnectError
from pyinfra.api.state import StateStage
from pyinfra.connectors.base import DataMeta
from pyinfra.connectors.ssh import ConnectorData

from citadelle.connectors.host import DATA_META
from citadelle.connectors.posix import PosixConnector
from citadelle.connectors.shell import Result, ShellRefused
from citadelle.connectors.ssh import Connection, KeyRefused, connection
from citadelle.connectors.target import Target
from citadelle.connectors.text import windows_lines

# The stub in System32 does not work in a session of sshd; this one does.
WSL = r'"C:\Program Files\WSL\wsl.exe"'
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
DISTRO = "citadelle"
USER = "citadelle-wsl"


def command_line(distro: str, program: str) -> str:
    """The command line that runs `program` as root, in root's home and not in Windows' folder.

    Raises ValueError for a name of a distribution that could be an option or more.
    """
    if not NAME.fullmatch(distro):
        raise ValueError(f"not a name of a WSL distribution: {distro!r}")
    return f"{WSL} -d {distro} -u root --cd ~ --exec {program}"


class WSLData(ConnectorData):
    """Data of a WSL host."""

    wsl_distro: str
    wsl_user: str


class DistributionMissing(OSError):
    """The distribution is not registered for its owner, or its owner cannot log in."""


class WSLConnector(PosixConnector):
    """Commands as root inside the distribution."""

    group = "wsl"
    data_cls = WSLData
    data_meta: ClassVar[dict[str, DataMeta]] = {
        **DATA_META,
        "wsl_distro": DataMeta("Name of the WSL distribution", DISTRO),
        "wsl_user": DataMeta("Windows account that owns it and is logged in as; empty: `ssh_user` itself", USER),
    }

    _is_stranger = False

    @staticmethod
    def make_names_data(name: str | None = None) -> Iterator[tuple[str, dict, list[str]]]:
        """`@wsl/NAME` or `@wsl/NAME/DISTRO` in group `wsl`."""
        for host, data, groups in WSLConnector.names("wsl", name):
            _, _, distro = (name or "").partition("/")
            yield host, data | ({"wsl_distro": distro} if distro else {}), groups

    @property
    def connection(self) -> Connection:
        """The line of the distribution's owner."""
        owner = {"ssh_user": self.data["wsl_user"]} if self.data["wsl_user"] else {}
        return connection(Target.from_data(self.pc, {**self.data, **owner}))

    @property
    def _administrator(self) -> Connection:
        """The line of who administers the PC."""
        return connection(Target.from_data(self.pc, self.data))

    def connect(self) -> None:
        """As on Linux. An owner that cannot log in yet is no failure as long as the administrator can: this run may make it."""
        try:
            super().connect()
        except ConnectError as error:
            if not isinstance(error.__cause__, KeyRefused) or not self.data["wsl_user"]:
                raise
            self._is_stranger = True
            try:
                self._administrator.channel().close()
            except OSError as other:
                raise ConnectError(self.told(other)) from other

    def _exec(self, program: str) -> str:
        try:
            return command_line(self.data["wsl_distro"], program)
        except ValueError as error:
            raise OSError(f"{self.host.name}: {error}\nhint: set wsl_distro") from error

    @property
    def SHELL(self) -> str:  # type: ignore[override]
        return self._exec("/bin/sh")

    @property
    def SFTP(self) -> str:  # type: ignore[override]
        return self._exec("/usr/lib/openssh/sftp-server")

    def open_shell(self, line: Connection | None = None) -> Any:
        """A root shell in the distribution. Raises `DistributionMissing`."""
        if self._is_stranger and self.state.current_stage == StateStage.Prepare:
            raise self._stranger()  # not tried again: a server counts failed logins, and shuts out who has many
        try:
            return super().open_shell(line)
        except KeyRefused:
            if not self.data["wsl_user"]:
                raise
            raise self._stranger() from None
        except OSError as error:
            cause = error.__cause__
            if isinstance(cause, ShellRefused) and "WSL_E_DISTRO_NOT_FOUND" in "".join(windows_lines(cause.output)):
                raise DistributionMissing(
                    f"{self.host.name}: WSL distribution is missing: {self.data['wsl_distro']}\n"
                    f"hint: run the deploy for @windows/{self.pc} too: its role wsl imports the distribution"
                ) from None
            raise

    def restart(self, task: str) -> None:
        """End the distribution, and with it all that runs there; the scheduled `task` that holds it starts it again. Raises OSError.

        Only administrators may touch the task. One that is not there is no failure here: the Windows side registers and starts it.
        """
        self.disconnect()
        self._administrator.run(f"schtasks /end /tn {task}")
        code, out, _ = self.connection.run(f"{WSL} --terminate {self.data['wsl_distro']}")
        if code:
            raise OSError(f"{self.host.name}: WSL distribution does not end: {' '.join(windows_lines(out))}")
        self._administrator.run(f"schtasks /run /tn {task}")

    def _stranger(self) -> DistributionMissing:
        return DistributionMissing(
            f"{self.host.name}: owner of the WSL distribution cannot log in: {self.data['wsl_user']}\n"
            f"hint: run the deploy for @windows/{self.pc} too: its role wsl makes the account; AllowUsers in sshd_config must name it"
        )

    def refused(self, error: ShellRefused) -> str:
        """What wsl.exe said."""
        said = " ".join(windows_lines(error.output)).strip() or f"exit code {error.code}"
        return f"{self.host.name}: WSL does not start: {said}\nhint: on the PC: wsl --status"

    def execute(self, command: StringCommand, print_input: bool, arguments: dict[str, Any]) -> Result:
        """As on Linux; while planning, a missing distribution answers nothing instead of failing."""
        try:
            return super().execute(command, print_input, arguments)
        except DistributionMissing:
            if self.state.current_stage == StateStage.Prepare:
                return Result(0, b"", b"")
            raise
