"""What lies on a Linux host: mode, owner and digest of many paths in one round trip."""

from __future__ import annotations

from dataclasses import dataclass

from pyinfra.api import QuoteString, StringCommand

from citadelle.facts.base import Fact


@dataclass(frozen=True)
class FileState:
    """One regular file: `mode` as octal text ("644"), `owner` as "user:group", `sha256` in hex."""

    mode: str
    owner: str
    sha256: str


class FileStates(Fact[dict[str, FileState]]):
    """State of each given path that is a regular file; a missing path is missing in the answer."""

    default = dict

    def command(self, paths: list[str]) -> StringCommand:
        quoted = [QuoteString(path) for path in paths]
        # A symbolic link is no regular file of ours: it counts as missing and is replaced.
        loop = 'do if test -f "$p" && ! test -L "$p"; then stat -c "%a %U:%G %n" "$p"; sha256sum < "$p"; fi; done'
        return StringCommand("for p in", *quoted, ";", loop)

    def parse(self, output: list[str]) -> dict[str, FileState]:
        states = {}
        for status, digest in zip(output[::2], output[1::2], strict=True):
            mode, owner, path = status.split(" ", 2)
            states[path] = FileState(mode, owner, digest.split()[0])
        return states
