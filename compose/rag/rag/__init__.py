"""Passages for a question, over a Unix socket. No network, no outgoing call of any kind."""

from pathlib import Path

SOCKET = Path("/run/rag/rag.sock")
INDEX = Path("/var/lib/rag/index.sqlite")
