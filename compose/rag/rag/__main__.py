"""`python -m rag`: serve on the Unix socket."""

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import uvicorn

from rag import INDEX, SOCKET, health
from rag.app import App
from rag.peers import protocol
from rag.search import Index


def listen(path: Path) -> socket.socket:
    """A listening socket at `path`, mode 0660. A stale file is replaced.

    The socket is made here because uvicorn would open it to everybody (mode 0666). Raise OSError.
    """
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    previous = os.umask(0o117)
    try:
        listener.bind(str(path))
    finally:
        os.umask(previous)
    listener.listen(64)
    return listener


def config(app: App, users: list[int]) -> uvicorn.Config:
    """The server around the application, for processes of these users: no access log, no websockets."""
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=protocol(users),
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        limit_concurrency=64,
        timeout_graceful_shutdown=5,
    )


class Server(uvicorn.Server):
    """The server, which also answers how it is (`rag/health.py`)."""

    def __init__(self, settings: uvicorn.Config, line: Callable[[], bytes]) -> None:
        super().__init__(settings)
        self._line = line

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        health.serve(health.folder(), self._line)


def main() -> int:
    """Serve until told to stop."""
    path = Path(os.environ.get("RAG_SOCKET", SOCKET))
    app = App(Index(Path(os.environ.get("RAG_INDEX", INDEX))))
    users = [int(uid) for uid in os.environ.get("RAG_USERS", "").split(",") if uid]
    Server(config(app, users), app.figures.line).run(sockets=[listen(path)])
    return 0


if __name__ == "__main__":
    sys.exit(main())
