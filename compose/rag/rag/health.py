"""The container's health: asked through a pipe with a name, since nothing in there may connect to a socket, not even to its own.

The service answers from its loop after it has looked at the index: a file that is only there proves nothing.
`python -m rag.health` asks. Exit 0 when ready, 1 otherwise; it prints the figures of the service (`rag/figures.py`), which Docker keeps:
so they leave a container that has no network and may write nowhere.
"""

import asyncio
import json
import os
import select
import sys
from collections.abc import Callable
from pathlib import Path

FOLDER = Path("/tmp")  # noqa: S108  the container's own
_ASKED, _TOLD = "health.asked", "health.told"
SECONDS = 8.0
_LINE_BYTES = 4096  # of which a pipe takes all or nothing


def folder() -> Path:
    """Where the two pipes lie."""
    return Path(os.environ.get("RAG_HEALTH", FOLDER))


def serve(place: Path, line: Callable[[], bytes]) -> None:
    """Answer with `line` in the running loop as long as it runs. Raise OSError."""
    asked, told = (_pipe(place / name) for name in (_ASKED, _TOLD))

    def answer() -> None:
        os.read(asked, 4096)
        os.write(told, line()[:_LINE_BYTES])

    asyncio.get_running_loop().add_reader(asked, answer)


def _pipe(path: Path) -> int:
    """A fresh pipe, open at both ends: it neither ends nor blocks when nobody asks."""
    path.unlink(missing_ok=True)
    os.mkfifo(path, 0o600)
    return os.open(path, os.O_RDWR | os.O_NONBLOCK)


def ask(place: Path, seconds: float = SECONDS) -> bytes:
    """The service's line, or nothing when no answer comes in time. Raise OSError when there is no service."""
    asked = os.open(place / _ASKED, os.O_WRONLY | os.O_NONBLOCK)  # ENXIO: nobody at the other end
    told = os.open(place / _TOLD, os.O_RDONLY | os.O_NONBLOCK)
    try:
        while select.select([told], [], [], 0)[0]:
            os.read(told, 4096)  # the answer to somebody who did not wait for it
        os.write(asked, b"?")
        return os.read(told, _LINE_BYTES) if select.select([told], [], [], seconds)[0] else b""
    finally:
        os.close(asked)
        os.close(told)


def main() -> int:
    """Ask the service of this container."""
    try:
        said = ask(folder())
    except OSError as error:
        print(type(error).__name__)
        return 1
    ready = bool(said) and json.loads(said)["ready"]
    print(f"ready {said.decode()}" if ready else "index_broken" if said else "no answer")
    return 0 if ready else 1


if __name__ == "__main__":
    sys.exit(main())
