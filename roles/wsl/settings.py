"""Settings of the role `wsl`."""

from pathlib import Path

from pydantic import Field

from citadelle.connectors.wsl import DISTRO, NAME
from citadelle.settings import RoleSettings


class WslSettings(RoleSettings):
    """The WSL distribution that carries the stack on a Windows PC."""

    wsl_distro: str = Field(
        DISTRO,
        pattern=f"^{NAME.pattern}$",
        description="Name of the distribution; another name than the default is set on the Windows host and on its WSL host.",
    )
    wsl_rootfs: Path | None = Field(
        None, description="Root file system (tar) on the controller, for PCs that lack the distribution."
    )
    wsl_rootfs_sha256: str | None = Field(
        None, pattern="^[0-9a-fA-F]{64}$", description="SHA-256 of wsl_rootfs, from its official source."
    )
    wsl_location: str = Field(
        r"C:\ProgramData\citadelle\wsl", description="Folder on the PC for the distribution's disk."
    )
    wsl_memory: str = Field(
        "12GB",
        pattern="^[1-9][0-9]*[MG]B$",
        description="Memory of WSL's virtual machine; Windows' own default is half.",
    )
