"""Files read in a process of their own: bounded in memory and time, ended when it hangs, begun anew when it dies.

`python -m rag.worker` says that it is ready, reads paths from its standard input and answers each with a line of JSON.
"""

import contextlib
import json
import resource
import selectors
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from rag.readers import TITLE, Text, Unreadable, read

SECONDS = 60.0  # for one file
_MEMORY = 1 << 30  # of addresses: a file that unpacks to more is not taken in
_START_SECONDS = 60.0
_READY = b"ready\n"
_CONTROL = dict.fromkeys({*range(32), *range(127, 160)} - {ord("\n"), ord("\t")})


class WorkerError(Exception):
    """The process does not start at all: that is no file's fault, and none is to be left out for it."""


class Worker:
    """Reads files one by one. `seconds`: how long one may take."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None

    def read(self, path: Path) -> Text:
        """Title and pages. Raise Unreadable, WorkerError."""
        said: dict[str, Any] = json.loads(self._asked(json.dumps(str(path)).encode() + b"\n"))
        if "error" in said:
            raise Unreadable(said["error"])
        return Text(said["title"], said["pages"])

    def _asked(self, line: bytes) -> bytes:
        process = self._running()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(line)
            process.stdin.flush()
        if (said := _line(process, self._seconds)) is None:
            self.close()
            raise Unreadable(f"takes longer than {self._seconds:g} s")
        if not said.endswith(b"\n"):  # nothing, or a part of it
            ended = _ended(process)
            self.close()
            raise Unreadable(f"its reader ended: {ended}")
        return said

    def _running(self) -> Any:
        if self._process is None or self._process.poll() is not None:
            self.close()
            command = [sys.executable, "-m", "rag.worker"]
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            if (said := _line(self._process, _START_SECONDS)) != _READY:
                why = f"not ready after {_START_SECONDS:g} s" if said is None else _ended(self._process)
                self.close()
                raise WorkerError(f"what reads documents does not start: {why}: {' '.join(command)}")
        return self._process  # a Popen whose pipes are there

    def close(self) -> None:
        """End the process."""
        if self._process:
            self._process.kill()
            self._process.communicate()
            self._process = None


def _line(process: Any, seconds: float) -> bytes | None:
    """A line of its output; empty when it has ended, None when nothing comes in time."""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        return bytes(process.stdout.readline()) if selector.select(seconds) else None


def _ended(process: Any) -> str:
    code = process.wait()
    if code >= 0:
        return f"exit status {code}"
    memory = ", as when the host's memory is short" if code == -signal.SIGKILL else ""
    return f"signal {signal.Signals(-code).name}{memory}"


def _answer(path: Path) -> dict[str, object]:
    """Errors by name only: a library's message may quote the document."""
    try:
        text = read(path)
    except Unreadable as error:
        return {"error": str(error)}
    except MemoryError:
        return {"error": "takes too much memory"}
    except Exception as error:  # whatever a library makes of a broken file
        return {"error": f"damaged ({type(error).__name__})"}
    title = " ".join(_shown(text.title).split())
    return {"title": title[:TITLE], "pages": [_shown(page) for page in text.pages]}


def _shown(text: str) -> str:
    """Without control characters, which would command somebody's terminal, and lone surrogates, over which JSON and SQLite stumble."""
    return text.encode("utf-8", "replace").decode().translate(_CONTROL)


def main() -> int:
    """Serve until the standard input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # it would hold a document
    answers, sys.stdout = sys.stdout, sys.stderr  # a chatty library must not answer in our place
    answers.write(_READY.decode())
    answers.flush()
    for line in sys.stdin:
        answers.write(json.dumps(_answer(Path(json.loads(line)))) + "\n")
        answers.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
