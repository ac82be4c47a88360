"""Settings of the role `wsl`."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from citadelle.connectors.wsl import DISTRO, NAME, USER
from citadelle.settings import RoleSettings


class WslSettings(RoleSettings):
    """The WSL distribution that carries the stack on a Windows PC."""

    wsl_distro: str = Field(
        DISTRO,
        pattern=f"^{NAME.pattern}$",
        description="Name of the distribution; another name than the default is set on the Windows host and on its WSL host.",
    )
    wsl_user: str = Field(
        USER,
        pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,19}$|^$",
        description="Windows account that owns the distribution, made for it without a password anybody knows; set on the Windows host "
        "and on its WSL host. Empty: `ssh_user` owns it, and nothing starts it at boot.",
    )
    wsl_rootfs: Path | None = Field(
        None, description="Root file system (tar) on the controller, for PCs that lack the distribution."
    )
    wsl_rootfs_sha256: str | None = Field(
        None, pattern="^[0-9a-fA-F]{64}$", description="SHA-256 of wsl_rootfs, from its official source."
    )
    wsl_rootfs_source: str = Field(
        "",
        description="Where wsl_rootfs and its SHA-256 come from (an official address); kept beside the distribution.",
    )
    wsl_networking: Literal["nat", "mirrored"] = Field(
        "nat",
        description="How WSL is on the network: `nat` (nothing of it can be reached from outside), or `mirrored`.",
    )
    wsl_location: str = Field(
        r"C:\ProgramData\citadelle\wsl", description="Folder on the PC for the distribution's disk."
    )
    wsl_memory: str = Field(
        "12GB",
        pattern="^[1-9][0-9]*[MG]B$",
        description="Memory of WSL's virtual machine; Windows' own default is half.",
    )
