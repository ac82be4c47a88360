"""Which PowerShell engine plays `powershell.exe` in the Windows PCs."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import requests

from tests.lab import state
from tests.lab.commands import LabError, Log, output, run

Personality = Literal["powershell.exe", "pwsh", "none"]

VERSION = "7.5.3"
SHA256 = "5c74e0bbafd8be59e72267f05700fd6615344d9cf4d30460d9b6d12cd4a88a8c"
RELEASE = f"https://github.com/PowerShell/PowerShell/releases/download/v{VERSION}/powershell-{VERSION}-linux-x64.tar.gz"
CHOICES = ("auto", "powershell.exe", "pwsh", "none")
MISSING = "no PowerShell engine: only the Linux PC srv1 comes up, the Windows side is left out"


@dataclass(frozen=True)
class Engine:
    """`folder` holds `pwsh`, and `powershell.exe` where the engine can behave as 5.1. None with personality "none"."""

    personality: Personality
    folder: Path | None
    origin: str


def choice() -> str:
    """CITADELLE_LAB_POWERSHELL; raises `LabError` for an unknown word."""
    wanted = os.environ.get("CITADELLE_LAB_POWERSHELL", "auto")
    if wanted not in CHOICES:
        raise LabError(f"CITADELLE_LAB_POWERSHELL is unknown: {wanted}", f"one of {', '.join(CHOICES)}")
    return wanted


def find(log: Log, *, fetch: bool = True) -> Engine:
    """The first that is there: the project's tool beside the checkout, `pwsh` on PATH, PowerShell's own release.

    `fetch`: the release may come over the network; without it only one that came before counts.
    """
    wanted = choice()
    if wanted == "none":
        return Engine("none", None, "switched off by CITADELLE_LAB_POWERSHELL")
    sources = (_tool, _on_path, _release) if fetch or _release_folder().is_dir() else (_tool, _on_path)
    for source in sources:
        engine = source(log)
        if engine:
            return _as_wanted(engine, wanted)
    if wanted != "auto":
        raise LabError(
            f"no PowerShell engine for CITADELLE_LAB_POWERSHELL: {wanted}", "install PowerShell so that pwsh is on PATH"
        )
    return Engine("none", None, MISSING)


def is_likely() -> bool:
    """Whether `find` will find one, before anything is unpacked or fetched: for the first line of a run. At most 3 s."""
    if choice() == "none":
        return False
    if _install_script().is_file() or _on_path(None) or _release_folder().is_dir():
        return True
    try:
        return requests.head(RELEASE, timeout=3, allow_redirects=False).status_code < 400
    except requests.RequestException:
        return False


def _install_script() -> Path:
    return Path(os.environ.get("CITADELLE_SHARED", state.ROOT.parent / "shared")) / "tools/pwsh/install"


def _release_folder() -> Path:
    return state.STATE / "powershell" / VERSION


def _as_wanted(engine: Engine, wanted: str) -> Engine:
    if wanted == "powershell.exe" and engine.personality != "powershell.exe":
        raise LabError(
            f"engine cannot behave as Windows PowerShell 5.1: {engine.folder}", "CITADELLE_LAB_POWERSHELL=auto bin/lab"
        )
    return Engine("pwsh", engine.folder, engine.origin) if wanted == "pwsh" else engine


def _tool(log: Log) -> Engine | None:
    install = _install_script()
    if not install.is_file():
        return None
    pwsh = output(["sh", install, state.STATE / "powershell/tool"], timeout=300)
    if not pwsh:
        raise LabError(f"PowerShell tool cannot be unpacked: {install}", f"sh {install}")
    return Engine("powershell.exe", Path(pwsh).parent, str(install))


def _on_path(_: Log | None) -> Engine | None:
    pwsh = shutil.which("pwsh")
    if not pwsh:
        return None
    folder = Path(pwsh).resolve().parent
    # A wrapper script or a lone launcher is no engine that a PC could carry.
    return Engine("pwsh", folder, pwsh) if (folder / "System.Management.Automation.dll").is_file() else None


def _release(log: Log) -> Engine | None:
    folder = _release_folder()
    if not (folder / "pwsh").is_file():
        try:
            unpack(download(RELEASE, SHA256, state.STATE / f"powershell-{VERSION}.tar.gz"), folder, log)
        except (requests.RequestException, OSError) as problem:
            log.write(f"PowerShell's release cannot be fetched: {problem}\n")
            return None
    return Engine("pwsh", folder, RELEASE)


def download(url: str, sha256: str, target: Path, get: Callable[..., requests.Response] = requests.get) -> Path:
    """Fetch a file whose digest is known; raises `LabError` for another digest, `requests.RequestException` without a network."""
    digest = hashlib.sha256()
    target.parent.mkdir(parents=True, exist_ok=True)
    with get(url, stream=True, timeout=(5, 30)) as answer, target.open("wb") as file:
        answer.raise_for_status()
        for chunk in answer.iter_content(1 << 20):
            digest.update(chunk)
            file.write(chunk)
    if digest.hexdigest() != sha256:
        target.unlink()
        raise LabError(
            f"PowerShell's release has another sha256: {digest.hexdigest()} instead of {sha256}", f"check {url}"
        )
    return target


def unpack(archive: Path, folder: Path, log: Log) -> None:
    """Into a fresh folder that gets its name only when all is there; the archive goes."""
    fresh = folder.with_name(folder.name + ".fresh")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    run(["tar", "-C", fresh, "-xzf", archive], log)
    (fresh / "pwsh").chmod(0o755)
    fresh.rename(folder)
    archive.unlink()
