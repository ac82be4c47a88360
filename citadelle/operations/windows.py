"""What a Windows PC must be, and its WSL."""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from pathlib import Path

from pyinfra import host
from pyinfra.api import FileUploadCommand, StringCommand, operation
from pyinfra.api.command import PyinfraCommand

from citadelle import powershell
from citadelle.facts.windows import Windows
from citadelle.operations.refusal import refusal

WSL = r"C:\Program Files\WSL\wsl.exe"
ENVIRONMENT = r"HKLM:\SYSTEM\CurrentControlSet\Control\Session Manager\Environment"
STAGED = "C:/ProgramData/citadelle/rootfs.tar"

IMPORT = r"""
$found = (Get-FileHash -LiteralPath $archive -Algorithm SHA256).Hash
if ($found -ne $sha256) { throw "distribution file arrived damaged: $found" }
New-Item -ItemType Directory -Path $location -Force | Out-Null
$env:WSL_UTF8 = '1'
$said = & 'C:\Program Files\WSL\wsl.exe' --import $distribution $location $archive --version 2
$code = $LASTEXITCODE
Remove-Item -LiteralPath $archive
if ($code -ne 0) { throw "wsl --import: exit code ${code}: $said" }
"""


@operation()
def supported(problems: list[tuple[str, str]]) -> Generator[PyinfraCommand, None, None]:
    """Refuse a PC that cannot become a host, with everything that stands against it.

    + problems: what is wrong and its cure, of each control without which nothing is changed; from `hardening.refusals()`.
    """
    state = host.get_fact(Windows)
    if not state.wsl:
        cure = "wsl --install --no-distribution in an administrator's console, then restart the PC"
        problems = [*problems, (f"WSL is not installed: {WSL}", cure)]
    if problems:
        told = "; ".join(what for what, _ in problems)
        yield refusal(f"this PC cannot become a host: {told}", "; ".join(cure for _, cure in problems))
    else:
        host.noop(f"Windows {state.edition} {state.display} build {state.build}.{state.revision} is supported")


@operation()
def wsl_settings(config: str) -> Generator[PyinfraCommand, None, None]:
    """Have the user's .wslconfig as given, and wsl.exe speak UTF-8 for everyone.

    + config: text of the file, ASCII with \\n line ends.
    """
    state = host.get_fact(Windows)
    right = state.config.replace("\r\n", "\n") == config
    if right and state.utf8 == "1":
        host.noop("WSL's settings are right")
        return
    if state.utf8 != "1":
        values = powershell.assign(path=ENVIRONMENT)
        yield StringCommand(values + "Set-ItemProperty -LiteralPath $path -Name WSL_UTF8 -Value '1' -Type String")
    if not right:
        values = powershell.assign(path=state.profile + r"\.wslconfig", text=config.replace("\n", "\r\n"))
        yield StringCommand(values + "Set-Content -LiteralPath $path -Value $text -Encoding ASCII -NoNewline")


@operation()
def distribution(
    distribution: str, archive: str | None, sha256: str | None, location: str
) -> Generator[PyinfraCommand, None, None]:
    """Have a WSL distribution registered for the SSH user.

    + distribution: its name.
    + archive: root file system (tar) on the controller; needed only while the distribution is missing.
    + sha256: of the archive, in hex.
    + location: folder on the PC for its disk.
    """
    if distribution in host.get_fact(Windows).distributions:
        host.noop(f"distribution {distribution} is registered")
        return
    problem = _archive_problem(archive, sha256)
    if archive is None or problem:
        yield refusal(
            f"WSL distribution is missing: {distribution}; {problem}",
            "set wsl_rootfs and wsl_rootfs_sha256 to a file of an official source",
        )
        return
    yield StringCommand("New-Item -ItemType Directory -Path C:\\ProgramData\\citadelle -Force | Out-Null")
    yield FileUploadCommand(archive, STAGED)
    values = powershell.assign(
        archive=STAGED.replace("/", "\\"), distribution=distribution, sha256=(sha256 or "").upper(), location=location
    )
    yield StringCommand(values + IMPORT)


def _archive_problem(archive: str | None, sha256: str | None) -> str:
    if archive is None or sha256 is None:
        return "no file to import it from is set"
    if not Path(archive).is_file():
        return f"its file is absent on this controller: {archive}"
    with Path(archive).open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    return "" if found == sha256.lower() else f"its file has another digest: {found}"
