"""The container's health check: a real request over the socket. Exit 0 when ready, 1 otherwise."""

import os
import socket
import sys

from rag import SOCKET

_REQUEST = b"GET /healthz HTTP/1.1\r\nHost: rag\r\nConnection: close\r\n\r\n"


def main() -> int:
    """Ask the service of this container."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(8)
            client.connect(os.environ.get("RAG_SOCKET", str(SOCKET)))
            client.sendall(_REQUEST)
            head = client.recv(64)
    except OSError as error:
        print(type(error).__name__)
        return 1
    print(head[:15].decode("latin-1"))
    return 0 if head.startswith(b"HTTP/1.1 200 ") else 1


if __name__ == "__main__":
    sys.exit(main())
