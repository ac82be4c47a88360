"""Every PowerShell script that the product sends, judged without running it: genuine parser, syntax of 5.1, Microsoft's own parameters."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
from pathlib import Path
from typing import Any

import citadelle.facts
from citadelle import powershell
from citadelle.connectors import windows
from citadelle.facts.base import WindowsFact
from tests.conftest import ROOT, shared_path
from tests.operations.cases import cases, load, run


class Recorder:
    """Stands in for a connector's shell: keeps what would be sent."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def shell(self) -> Recorder:
        return self

    def run(self, script: str, seconds: float | None = None) -> windows.Result:
        self.sent.append(script)
        return windows.Result(0, b"", b"")


ASKED = {"Events": {"user": "citadelle-wsl", "seconds": 300}}  # of facts that take something


def facts() -> dict[str, str]:
    """The script of every fact of Windows."""
    for module in pkgutil.iter_modules(citadelle.facts.__path__):
        importlib.import_module(f"citadelle.facts.{module.name}")
    found = [fact for fact in WindowsFact.__subclasses__() if fact.__module__.startswith("citadelle.")]
    return {f"fact.{fact.__name__}": fact().command(**ASKED.get(fact.__name__, {})) for fact in found}


SHELL = {"hardening.controls"}  # for Linux, in a module whose other operations are for Windows


def operations(folder: Path) -> dict[str, str]:
    """The scripts of every operation whose module writes PowerShell, from its cases."""
    scripts = {}
    for case in cases():
        module = importlib.import_module(f"citadelle.operations.{case.parent.name.split('.')[0]}")
        # A module may have operations of both hosts of a PC.
        if getattr(module, "powershell", None) is powershell and load(case, folder).get("host", "").startswith(
            "@windows/"
        ):
            commands: list[Any] = run(case, folder)[0]
            texts = [command for command in commands if isinstance(command, str)]
            scripts |= {f"{case.parent.name}-{case.stem}.{number}": text for number, text in enumerate(texts)}
    return scripts


def connector() -> dict[str, str]:
    """What the connector itself sends: the loop, its files, its context of a command, the end of a PowerShell."""
    recorder = Recorder()
    files: Any = windows.WindowsFiles(recorder)  # type: ignore[arg-type]
    for method, values in {
        "create": ["C:\\x"],
        "digest": ["C:\\x"],
        "forget": ["C:\\x"],
        "place": ["C:\\x", "C:\\y"],
    }.items():
        getattr(files, method)(*values)
    context = windows._with_context("Get-Date", {"_env": {"NAME": "it's"}, "_chdir": "C:\\Windows"})
    scripts = [powershell.LOOP, context, windows.KILL.format(pid=1), *recorder.sent]
    return {f"connector.{number}": script for number, script in enumerate(scripts)}


def test_every_script_is_windows_powershell_that_would_run(tmp_path: Path) -> None:
    check = shared_path("tools", "pwsh", "check-ps1")
    scripts = facts() | operations(tmp_path) | connector()
    assert {"fact.Windows", "wsl.settings-absent.0", "wsl.distribution-imported.1", "connector.6"} <= set(scripts)
    folder = tmp_path / "scripts"
    folder.mkdir()
    for name, script in scripts.items():
        (folder / f"{name}.ps1").write_text(script, "utf-8-sig")
    (folder / "wrong.ps1").write_text("Get-Item -NoSuchParameter 1 && Get-Date")
    files = sorted([*ROOT.glob("citadelle/**/*.ps1"), *ROOT.glob("roles/**/*.ps1")])
    assert {file.name for file in files} >= {"loop.ps1", "windows.ps1", "bootstrap.ps1"}
    done = subprocess.run([check, *files, folder], capture_output=True, text=True, check=False)
    findings = done.stdout.splitlines()
    # Objects that a script leaves over are for the eye, one by one: Out-String in the loop is meant so.
    wrong = [line for line in findings if "/wrong.ps1:" not in line and "warning PS807: Out-String" not in line]
    assert f"{len(files) + len(scripts) + 1} checked" in done.stderr
    assert any("/wrong.ps1:1:10: error PS401" in line for line in findings), "it finds what is there"
    assert wrong == []
