"""One /bin/sh kept open on a PC: each command is one frame in and two markers out, about one round trip.

A frame is a line `<base64 command> <base64 stdin or ->`. The command runs in a session of its own, so that a timeout can end all of it;
its text comes over a descriptor, never in an argument or a variable of the environment.
"""

from __future__ import annotations

import re
import secrets
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from citadelle.connectors.process import CUT, Process
from citadelle.connectors.ssh import Connection, Unreachable

START_SECONDS = 60

# Sent as one compound command: dash reads its program in blocks and would swallow frames sent after a shorter piece.
LOOP = r"""{
umask 022
printf '%s ready\n' TOKEN
while IFS=' ' read -r program input; do
  program=$(printf %s "$program" | base64 -d)
  if [ "$input" = - ]; then
    setsid sh /dev/fd/3 3<<EOP </dev/null &
printf '%s %s\n' TOKEN "\$\$"; printf '%s %s\n' TOKEN "\$\$" >&2
{ :
$program
} 3<&-
EOP
  else
    printf %s "$input" | base64 -d | setsid sh /dev/fd/3 3<<EOP &
printf '%s %s\n' TOKEN "\$\$"; printf '%s %s\n' TOKEN "\$\$" >&2
{ :
$program
} 3<&-
EOP
  fi
  wait $!
  code=$?
  printf '\n%s end %s\n' TOKEN "$code"
  printf '\n%s end\n' TOKEN >&2
done
exit 0
}
"""


@dataclass
class Result:
    """What a command gave: exit code and the raw bytes of both streams."""

    code: int
    stdout: bytes
    stderr: bytes


class Shell:
    """A persistent shell; `run` may be called again after a timeout, the killed command does not poison it."""

    def __init__(self, connection: Connection, command: str):
        self._connection = connection
        self._command = command
        self._token = secrets.token_hex(8)
        self._process = Process(connection, command)
        self._process.write(LOOP.replace("TOKEN", self._token).encode())
        self._await_ready()

    @property
    def alive(self) -> bool:
        """Whether it can take a command."""
        return self._process.alive

    def _await_ready(self) -> None:
        ready, seen = f"{self._token} ready\n".encode(), {"stdout": b"", "stderr": b""}
        try:
            for name, block in self._process.blocks(START_SECONDS):
                seen[name] += block
                if seen["stdout"].endswith(ready):
                    return
        except TimeoutError:
            self.close()
            raise ShellRefused(-1, f"no answer after {START_SECONDS} s".encode()) from None
        raise ShellRefused(self._process.exit_code, seen["stdout"] + seen["stderr"])

    def run(
        self,
        program: str,
        stdin: bytes | None = None,
        seconds: float | None = None,
        heard: Callable[[str], None] | None = None,
    ) -> Result:
        """Run `program` (sh) with `stdin`. Raises `TimeoutError` after `seconds` (all its processes are killed) and `Unreachable`.

        `heard` is called with each line of its standard error when it comes.
        """
        given = b64encode(stdin) if stdin else b"-"
        # Names of files that are not UTF-8 are their own bytes again.
        self._process.write(b64encode(program.encode(errors="surrogateescape")) + b" " + given + b"\n")
        # A program that never reads its input is fine: the pipe's writer ends by SIGPIPE.
        streams = _Streams(self._token)
        try:
            for name, block in self._process.blocks(seconds):
                streams.add(name, block)
                if heard is not None:
                    for line in streams.lines():
                        heard(line)
                if streams.complete:
                    return streams.result()
                if not block:
                    raise Unreachable(CUT)
        except TimeoutError:
            self._kill(streams.session)
            raise
        raise AssertionError("unreachable")

    def _kill(self, session: str | None) -> None:
        self._process.close()
        if session:
            helper = Shell(self._connection, self._command)
            helper.run(
                f"kill -s TERM -- -{session}; sleep 0.2; kill -s KILL -- -{session} 2>/dev/null; true", seconds=10
            )
            helper.close()

    def close(self) -> None:
        """End the shell."""
        self._process.close()


class ShellRefused(OSError):
    """The shell did not start; `code` and `output` are what its program said instead."""

    def __init__(self, code: int, output: bytes):
        super().__init__(f"shell does not start: exit code {code}")
        self.code = code
        self.output = output


class _Streams:
    """Takes the command's own bytes out of both streams: each is `<token> <session>`, the bytes, `<token> end`.

    What an earlier command left behind in the background may write before and after that: it is not this command's.
    """

    def __init__(self, token: str):
        self._begin = re.compile(rb"%b (\d+)\n" % token.encode())
        self._end = re.compile(rb"\n%b end ?(\d*)\n" % token.encode())
        self._data = {"stdout": bytearray(), "stderr": bytearray()}
        self._ends: dict[str, tuple[int, bytes]] = {}
        self._told = 0

    def add(self, name: str, block: bytes) -> None:
        data = self._data[name]
        start = max(0, len(data) - 64)  # a marker may be cut in two
        data += block
        if name not in self._ends and (found := self._end.search(data, start)):
            self._ends[name] = found.start(), found[1]

    def lines(self) -> Iterator[str]:
        """Whole lines of the standard error that came since the last call."""
        data = self._data["stderr"]
        begin, stop = self._begin.search(data), self._ends.get("stderr", (data.rfind(b"\n") + 1, b""))[0]
        start = max(self._told, begin.end()) if begin else stop
        if start < stop:
            self._told = stop
            yield from data[start:stop].decode(errors="replace").splitlines()

    @property
    def session(self) -> str | None:
        """Process id of the command's session, once it has said it."""
        found = self._begin.search(self._data["stdout"])
        return found[1].decode() if found else None

    @property
    def complete(self) -> bool:
        return len(self._ends) == 2

    def result(self) -> Result:
        return Result(int(self._ends["stdout"][1]), self._own("stdout"), self._own("stderr"))

    def _own(self, name: str) -> bytes:
        end, _ = self._ends[name]
        begin = self._begin.search(self._data[name])
        return bytes(self._data[name][begin.end() if begin else 0 : end])
