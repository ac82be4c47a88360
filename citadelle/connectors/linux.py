"""`@linux/NAME`: a plain Linux PC over SSH, through one root shell that stays open.

The same as pyinfra's `@ssh` for operations, with strict host keys, no delay per command, and one `sudo` per run.
"""

from __future__ import annotations

from collections.abc import Iterator

from citadelle.connectors.posix import PosixConnector


class LinuxConnector(PosixConnector):
    """The SSH user is root, or may become root without a password."""

    group = "linux"
    # One constant command line for root and for others; sudo asks for nothing or fails at once.
    SHELL = 'if [ "$(id -u)" = 0 ]; then exec /bin/sh; else exec sudo -n -H /bin/sh; fi'
    SFTP = (
        "for s in /usr/lib/openssh/sftp-server /usr/libexec/openssh/sftp-server /usr/lib/ssh/sftp-server; do"
        ' if [ -x $s ]; then if [ "$(id -u)" = 0 ]; then exec $s; else exec sudo -n $s; fi; fi; done'
    )

    @staticmethod
    def make_names_data(name: str | None = None) -> Iterator[tuple[str, dict, list[str]]]:
        """`@linux/NAME` in group `linux`."""
        return LinuxConnector.names("linux", name)
