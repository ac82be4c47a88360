"""Files of a POSIX host for `transfer`, as root sees them, or as the user that an operation asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from citadelle.connectors.ssh import Connection
from citadelle.connectors.transfer import open_sftp

# Beside the destination, so that the rename is one step; links are followed first, as pyinfra's own connector follows them.
CREATE = """path=$(readlink -m -- "$1")
umask 077
if test -w "$path" && ! test -w "${path%/*}/"; then mktemp; else mktemp -- "${path%/*}/.upload.XXXXXXXXXX"; fi"""

# A second name of a file, a mount point, another user's file: a rename would make it another file, so its content alone is replaced.
PLACE = """path=$(readlink -m -- "$2")
if ! test -e "$path"; then
  chmod "$(printf %o $((0666 & ~$(umask))))" "$1" && mv -T -- "$1" "$path"
elif ! { test -f "$path" && test "$(stat -c %h -- "$path")" = 1 && chown --reference="$path" -- "$1" &&
  chmod --reference="$path" -- "$1" && mv -T -- "$1" "$path"; } 2>/dev/null; then
  cat -- "$1" >"$path" && rm -f -- "$1"
fi"""


class Host(Protocol):
    """What a POSIX connector gives."""

    SFTP: str

    @property
    def connection(self) -> Connection:
        """The PC's one connection."""

    def sh(self, program: str, *values: str, arguments: Mapping[str, Any]) -> str:
        """Run a small program. Raises OSError."""


class PosixFiles:
    """See `transfer.Side`. `arguments` of an operation say as whom, empty means root."""

    def __init__(self, host: Host, arguments: Mapping[str, Any]):
        self._host = host
        self._arguments = arguments

    def _sh(self, program: str, *values: str) -> str:
        return self._host.sh(program, *values, arguments=self._arguments)

    def sftp(self) -> Any:
        """An SFTP server started as root over a channel of its own."""
        channel = self._host.connection.channel()
        channel.exec_command(self._host.SFTP)
        return open_sftp(channel)

    def remote(self, path: str) -> str:
        """Paths are the same."""
        return path

    def create(self, path: str) -> str:
        """Make an empty file with mode 600; a name that no other user can foresee."""
        return self._sh(CREATE, path).removesuffix("\n")

    def digest(self, path: str) -> str:
        """SHA-256 by the host's own program."""
        return self._sh('sha256sum < "$1"', path).split()[0]

    def place(self, part: str, path: str) -> None:
        """Rename; a new file gets the mode that the umask gives, an old one keeps mode and owner."""
        self._sh(PLACE, part, path)

    def forget(self, part: str) -> None:
        """Remove."""
        self._sh('rm -f -- "$1"', part)
