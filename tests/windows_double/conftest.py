"""A Windows double with a home of its own, asked as sshd asks it; with the genuine engine in both personalities."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.lab import commands, powershell

CODE = ROOT / "tests/lab/windows"
sys.path.insert(0, str(CODE))  # the double's own package, as its programs see it

# One PowerShell for many scripts: a line of base64 in, a line of JSON out. What a script writes becomes text as at a console.
CONSOLE = r"""
foreach ($line in $input) {
    $script = [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($line))
    $Error.Clear()
    $out = @()
    try { & ([scriptblock]::Create($script)) | Out-String -Stream -Width 500 | Tee-Object -Variable out | Out-Null } catch { }
    $ids = @($Error | ForEach-Object { if ($_.FullyQualifiedErrorId) { [string]$_.FullyQualifiedErrorId } })
    [array]::Reverse($ids)
    $json = ConvertTo-Json -Compress -InputObject @{ out = @($out | ForEach-Object { "$_" }); errors = $ids }
    [Console]::Out.WriteLine('@@' + [Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes($json)))
    [Console]::Out.Flush()
}
"""
START = "powershell.exe -NoLogo -NoProfile -NonInteractive -ExecutionPolicy Bypass -EncodedCommand "


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
        out, err = process.communicate(stdin, timeout=300)
        return Answer(process.returncode, out, err)

    def ps(self, script: str, stdin: bytes = b"") -> Answer:
        """Runs a script in a PowerShell of its own, the way the connectors start one."""
        return self.ask(START + encoded(script), stdin)

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
    def registry(self) -> dict[str, dict[str, Any]]:
        """Values of the registry file, read past the double's own code: key in lower case -> name -> value."""
        found: dict[str, Any] = json.loads((self.home / "registry.json").read_text(encoding="utf-8-sig"))
        plain = {
            key.lower(): {name: data["value"] if isinstance(data, dict) else data for name, data in values.items()}
            for key, values in found.items()
        }
        return {key: values for key, values in plain.items() if values}

    @property
    def journal(self) -> list[dict[str, Any]]:
        """Process starts so far."""
        return [json.loads(line) for line in (self.home / "journal.jsonl").read_text().splitlines()]

    def starts(self, program: str) -> int:
        """How many processes of one program the journal holds."""
        return sum(entry["program"] == program for entry in self.journal)


def replace_program(double: Double, name: str, case: str, code: int = 5) -> None:
    """A program that does nothing and gives `code` where `case` matches its words, and is otherwise itself."""
    program = double.path(rf"C:\Windows\System32\{name}")
    genuine = double.home / "genuine" / name
    genuine.parent.mkdir(exist_ok=True)
    genuine.symlink_to(program.readlink())
    program.unlink()
    program.write_text(f'#!/bin/sh\ncase "$*" in {case}) exit {code} ;; esac\nexec {genuine} "$@"\n')
    program.chmod(0o755)


class Console:
    """One PowerShell that stays open on a Windows, for tests of cmdlets: a start costs more than all of a test's statements."""

    def __init__(self, double: Double) -> None:
        self.double = double
        self._process = double.start(START + encoded(CONSOLE))
        self._first = {name: (double.home / name).read_bytes() for name in ("state.json", "registry.json")}

    def reset(self) -> None:
        """State and registry as on the first day."""
        for name, content in self._first.items():
            (self.double.home / name).write_bytes(content)

    def run(self, script: str) -> tuple[list[str], list[str]]:
        """Lines of output, and the ids of the errors in the order they came."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(base64.b64encode(script.encode()) + b"\n")
        process.stdin.flush()
        while not (line := process.stdout.readline()).startswith(b"@@"):
            assert line, process.stderr and process.stderr.read()
        found = json.loads(base64.b64decode(line[2:]))
        return [text.rstrip() for text in found["out"] if text.strip()], found["errors"]

    def lines(self, script: str) -> list[str]:
        """Output of a script that must not fail in any of its statements."""
        out, errors = self.run(script)
        assert errors == []
        return out

    def json(self, script: str) -> Any:
        """The one value of a script that must not fail."""
        return json.loads("".join(self.lines(f"& {{ {script} }} | ConvertTo-Json -Depth 6 -Compress")))

    def errors(self, script: str) -> list[str]:
        """Ids of the errors of a script."""
        return self.run(script)[1]

    def close(self) -> None:
        """Ends it."""
        self._process.communicate(timeout=300)


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> powershell.Engine:
    """The engine that the lab would take, if it is here already; skips with the reason when there is none."""
    found = powershell.find(commands.Log(tmp_path_factory.mktemp("engine") / "log"), fetch=False)
    if found.folder is None:
        pytest.skip(f"no PowerShell engine here: {found.origin}")
    return found


@pytest.fixture(scope="session", params=["powershell.exe", "pwsh"])
def personality(request: pytest.FixtureRequest, engine: powershell.Engine) -> str:
    """How the engine is started: as Windows PowerShell 5.1, or as a plain PowerShell 7 that the double makes up for."""
    if request.param == "powershell.exe" and engine.personality != "powershell.exe":
        pytest.skip(f"engine does not play Windows PowerShell 5.1 here: {engine.origin}")
    return str(request.param)


@pytest.fixture
def double(tmp_path: Path) -> Double:
    """A fresh Windows without PowerShell."""
    made = Double(tmp_path / "pc")
    assert made.control("setup").returncode == 0
    return made


@pytest.fixture
def windows(double: Double, engine: powershell.Engine, personality: str) -> Double:
    """A fresh Windows over each personality of the engine."""
    double.engine, double.plain = str(engine.folder), personality == "pwsh"
    return double


@pytest.fixture(scope="session")
def _console(
    tmp_path_factory: pytest.TempPathFactory, engine: powershell.Engine, personality: str
) -> Iterator[Console]:
    pc = Double(tmp_path_factory.mktemp("console") / "pc", str(engine.folder), personality == "pwsh")
    assert pc.control("setup").returncode == 0
    made = Console(pc)
    yield made
    made.close()


@pytest.fixture
def console(_console: Console) -> Console:
    """A PowerShell that is open already, on a Windows with fresh state, over each personality of the engine."""
    _console.reset()
    return _console
