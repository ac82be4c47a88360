"""WSL: its settings, the distribution of its owner, and that distribution's own configuration."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Generator
from importlib.resources import files
from pathlib import Path

import click
from pyinfra import host, logger
from pyinfra.api import FileUploadCommand, FunctionCommand, StringCommand, operation
from pyinfra.api.command import PyinfraCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State

from citadelle import powershell
from citadelle.facts.files import FileStates
from citadelle.facts.windows import Windows
from citadelle.facts.wsl_user import only_read_by
from citadelle.operations.files import File, present
from citadelle.operations.refusal import refusal
from citadelle.operations.wsl_user import TASK

ENVIRONMENT = r"HKLM:\SYSTEM\CurrentControlSet\Control\Session Manager\Environment"
STAGED = "C:/ProgramData/citadelle/rootfs.tar"
SCRIPTS = files("citadelle.operations")
AS_USER = SCRIPTS.joinpath("as_user.ps1").read_text("utf-8")
IMPORT = SCRIPTS.joinpath("wsl_import.ps1").read_text("utf-8")
CONFIG = "Set-Content -LiteralPath $path -Value $text -Encoding ASCII -NoNewline\n"
OWN_CONFIG = AS_USER + CONFIG + "Set-ReadOnlyFor $path $sid\n"
OWN_FOLDER = SCRIPTS.joinpath("own_folder.ps1").read_text("utf-8")


@operation()
def settings(config: str, owner: str) -> Generator[PyinfraCommand, None, None]:
    """Have .wslconfig of WSL's owner as given, and wsl.exe speak UTF-8 for everyone. In force when WSL starts next.

    + config: text of the file, ASCII with \\n line ends.
    + owner: account that owns WSL, which may only read it; empty for the SSH user.
    """
    state = host.get_fact(Windows, owner=owner)
    text = config.replace("\n", "\r\n")
    # The size too: a file in UTF-16 reads alike here, and WSL skips all of its lines.
    right = (state.config, state.config_size) == (text, len(text))
    right = right and (not owner or only_read_by(state.config_access, state.sid))
    if right and state.utf8 == "1":
        host.noop("WSL's settings are right")
        return
    if state.utf8 != "1":
        values = powershell.assign(path=ENVIRONMENT)
        yield StringCommand(values + "Set-ItemProperty -LiteralPath $path -Name WSL_UTF8 -Value '1' -Type String")
    if not right:
        values = powershell.assign(path=state.profile + r"\.wslconfig", text=text, sid=state.sid)
        yield StringCommand(values + (OWN_CONFIG if owner else CONFIG))


@operation()
def distribution(  # noqa: PLR0917  each is an argument of an operation, by name
    distribution: str, archive: str | None, sha256: str | None, source: str, location: str, owner: str, config: str
) -> Generator[PyinfraCommand, None, None]:
    """Have a WSL2 distribution registered for its owner. One that is there is left alone.

    + distribution: its name.
    + archive: root file system (tar) on the controller; needed only while the distribution is missing.
    + sha256: of the archive, in hex.
    + source: where the archive and its digest come from; kept beside the distribution.
    + location: folder on the PC for its disk.
    + owner: account that owns it; empty for the SSH user.
    + config: text of its /etc/wsl.conf, in force from its second start on, which is the first that anybody sees.
    """
    found = {one.name.lower(): one for one in host.get_fact(Windows, owner=owner).distributions}.get(
        distribution.lower()
    )
    problem = "" if found else _archive_problem(archive, sha256, source)
    if found and found.wsl2:
        host.noop(f"distribution {distribution} is registered")
    elif found:
        yield refusal(f"WSL distribution is one of WSL1: {distribution}", f"wsl --set-version {distribution} 2")
    elif archive is None or problem:
        yield refusal(
            f"WSL distribution is missing: {distribution}; {problem}",
            "set wsl_rootfs, wsl_rootfs_sha256 and wsl_rootfs_source to a file of an official source",
        )
    else:
        yield StringCommand(OWN_FOLDER)
        yield FileUploadCommand(archive, STAGED)
        values = powershell.assign(
            archive=STAGED.replace("/", "\\"), distribution=distribution, sha256=(sha256 or "").upper(), source=source,
            location=location, owner=owner, config=base64.b64encode(config.encode()).decode(),
        )  # fmt: skip
        yield StringCommand(values + AS_USER + IMPORT)


def _archive_problem(archive: str | None, sha256: str | None, source: str) -> str:
    if archive is None or sha256 is None:
        return "no file to import it from is set"
    if not source:
        return f"nobody says where its file comes from: {archive}"
    if not Path(archive).is_file():
        return f"its file is absent on this controller: {archive}"
    with Path(archive).open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    return "" if found == sha256.lower() else f"its file has another digest: {found}"


@operation()
def configuration(config: str) -> Generator[PyinfraCommand, None, None]:
    """Have /etc/wsl.conf as given, inside the distribution; a change is in force at once, since the distribution is started anew.

    + config: text of the file.
    """
    file = File("/etc/wsl.conf", config.encode())
    if host.get_fact(FileStates, paths=[file.path]).get(file.path) == file.state:
        host.noop("wsl.conf is right")
        return
    yield from present._inner(files=[file])
    yield FunctionCommand(_restart, (), {})


def _restart(state: State, host: Host) -> bool:
    try:
        host.connector.restart(TASK)  # of @wsl
    except OSError as error:
        logger.error(click.style(str(error), fg="red"))
        return False
    return True
