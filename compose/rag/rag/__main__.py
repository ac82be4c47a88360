"""`python -m rag`: serve on the Unix socket."""

import os
import socket
import sys
from pathlib import Path

import uvicorn

from rag import INDEX, SOCKET
from rag.app import App
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


def config(app: App) -> uvicorn.Config:
    """The server around the application: no access log, no websockets."""
    return uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        limit_concurrency=64,
        timeout_graceful_shutdown=5,
    )


def main() -> int:
    """Serve until told to stop."""
    path = Path(os.environ.get("RAG_SOCKET", SOCKET))
    app = App(Index(Path(os.environ.get("RAG_INDEX", INDEX))))
    uvicorn.Server(config(app)).run(sockets=[listen(path)])
    return 0


if __name__ == "__main__":
    sys.exit(main())
