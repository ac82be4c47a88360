"""A Windows double with a home of its own, asked as sshd asks it; with the genuine engine in both personalities."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, shared_path

CODE = ROOT / "tests/lab/windows"
sys.path.insert(0, str(CODE))  # the double's own package, as its programs see it


def encoded(script: str) -> str:
    """A script as -EncodedCommand takes it."""
    return base64.b64encode(script.encode("utf-16-le")).decode()


@dataclass
class Answer:
    """What an SSH client sees of one request."""

    code: int
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        """Standard output, decoded as the OEM code page, with plain line ends."""
        return self.out.decode("cp850").replace("\r\n", "\n").strip()

    @property
    def lines(self) -> list[str]:
        """The lines of `text`."""
        return self.text.split("\n")


@dataclass
class Double:
    """One Windows in a temporary folder."""

    home: Path
    engine: str = ""
    plain: bool = False
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """What sshd's SetEnv would give."""
        found = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/root"),
            "WINDOWS_DOUBLE_HOME": str(self.home),
        }
        if self.engine:
            found["WINDOWS_DOUBLE_POWERSHELL"] = self.engine
        if self.plain:
            found["WINDOWS_DOUBLE_PWSH"] = "plain"
        return found | self.extra

    def start(self, request: str, **more: Any) -> subprocess.Popen[bytes]:
        """The process that serves a request, with pipes."""
        pipe = subprocess.PIPE
        environment = self.environment | {"SSH_ORIGINAL_COMMAND": request}
        return subprocess.Popen([CODE / "shell"], env=environment, stdin=pipe, stdout=pipe, stderr=pipe, **more)

    def ask(self, request: str, stdin: bytes = b"") -> Answer:
        """Runs a request to its end."""
        process = self.start(request)
        out, err = process.communicate(stdin, timeout=60)
        return Answer(process.returncode, out, err)

    def ps(self, script: str, stdin: bytes = b"") -> Answer:
        """Runs a PowerShell script the way the connectors do."""
        line = f"powershell.exe -NoLogo -NoProfile -NonInteractive -ExecutionPolicy Bypass -EncodedCommand {encoded(script)}"
        return self.ask(line, stdin)

    def control(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Turns a knob."""
        return subprocess.run(
            [CODE / "control", *words], env=self.environment, capture_output=True, text=True, check=False
        )

    def path(self, windows: str) -> Path:
        """The file behind `C:\\x`."""
        return self.home / windows.replace("\\", "/")

    @property
    def state(self) -> dict[str, Any]:
        """The state file, read past the double's own code."""
        found: dict[str, Any] = json.loads((self.home / "state.json").read_text(encoding="utf-8-sig"))
        return found

    @property
    def journal(self) -> list[dict[str, Any]]:
        """Process starts so far."""
        return [json.loads(line) for line in (self.home / "journal.jsonl").read_text().splitlines()]


@pytest.fixture(scope="session")
def engine() -> str:
    """Folder or binary of a PowerShell engine; skips with the reason when there is none."""
    given = os.environ.get("WINDOWS_DOUBLE_POWERSHELL")
    if given:
        return given
    found = shutil.which("pwsh")
    if found:
        return found
    installer = shared_path("tools", "pwsh", "install")
    done = subprocess.run(["sh", installer], capture_output=True, text=True, check=True)
    return str(Path(done.stdout.strip()).parent)


@pytest.fixture
def double(tmp_path: Path) -> Double:
    """A fresh Windows without PowerShell."""
    made = Double(tmp_path / "pc")
    assert made.control("setup").returncode == 0
    return made


@pytest.fixture
def windows(double: Double, engine: str) -> Double:
    """A fresh Windows whose engine plays 5.1 where it can."""
    double.engine = engine
    return double


@pytest.fixture(params=["powershell.exe", "pwsh", "pwsh without registry"])
def either(request: pytest.FixtureRequest, windows: Double) -> Iterator[Double]:
    """The same Windows over each kind of engine."""
    if request.param == "powershell.exe" and not (Path(windows.engine) / "powershell.exe").exists():
        pytest.skip(f"no engine here that plays Windows PowerShell 5.1: {windows.engine}")
    windows.plain = request.param != "powershell.exe"
    if request.param == "pwsh without registry":
        windows.extra["WINDOWS_DOUBLE_BARE"] = "1"
    return windows
