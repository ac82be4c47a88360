"""The genuine receiver of the audit, as a host runs it, in a folder of a test."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from citadelle import pseudonyms

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Receiver:
    """A receiver's socket, log and key; `start` and `stop` as often as wanted."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @classmethod
    def at(cls, folder: Path) -> "Receiver":
        """The folder of a receiver, made when it is absent."""
        for name in ("socket", "log"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "socket").chmod(0o755)
        return cls(folder)

    @property
    def socket(self) -> Path:
        return self.folder / "socket/audit.sock"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def key(self) -> Path:
        return self.folder / "key"

    def start(self) -> "Receiver":
        """Start, and wait until it takes connections."""
        self.socket.unlink(missing_ok=True)
        arguments = ["--socket", str(self.socket), "--log", str(self.log), "--key", str(self.key)]
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-B", str(ROOT / "citadelle/audit_receiver.py"), *arguments]
        )
        deadline = time.monotonic() + 30
        while not self._answers():
            assert self.process.poll() is None, "the receiver did not start"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return self

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(self.socket))
            return True
        return False

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it: in order, or at once."""
        if self.process and self.process.poll() is None:
            os.kill(self.process.pid, number)
            self.process.wait(30)

    def records(self, kind: str = "request") -> list[dict[str, Any]]:
        """What it has written of a kind, in order."""
        lines = b"".join(path.read_bytes() for path in sorted(self.log.glob("audit-*.jsonl"))).splitlines()
        return [record for record in map(json.loads, lines) if record["event"] == kind]

    def name_of(self, identity: str) -> str:
        """What a key is called in the log now."""
        held = pseudonyms.Pseudonyms(self.folder / "pseudonyms.json")
        held.refresh()
        return held.of(identity)

    def verify(self, *arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
        """The judge's word on the log."""
        command = [
            sys.executable,
            "-I",
            "-B",
            str(ROOT / "citadelle/audit.py"),
            str(path or self.log),
            "--key",
            str(self.key),
        ]
        return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, timeout=60)


@contextlib.contextmanager
def receiving(folder: Path) -> Iterator[Receiver]:
    """A running receiver, ended afterwards."""
    receiver = Receiver.at(folder).start()
    try:
        yield receiver
    finally:
        receiver.stop()
