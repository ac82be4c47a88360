"""WSL on the Windows side: its settings, and the distribution that carries the stack."""

from pyinfra import host
from pyinfra.api.deploy import deploy

from citadelle.operations import wsl as operations
from citadelle.operations import wsl_user
from roles.line.settings import LineSettings
from roles.wsl.settings import WslSettings

# Negative timeouts: the virtual machine and the distribution stay up with nobody logged in.
CONFIG = """[wsl2]
memory={memory}
networkingMode={networking}
firewall=true
dnsTunneling=true
guiApplications=false
nestedVirtualization=false
debugConsole=false
vmIdleTimeout=-1
[general]
instanceIdleTimeout=-1
"""
# systemd for the stack; nothing of Windows inside: no drives, no programs.
INSIDE = """[boot]
systemd=true
[automount]
enabled=false
mountFsTab=false
[interop]
enabled=false
appendWindowsPath=false
"""


@deploy("WSL")
def wsl() -> None:
    """The owner first, then settings, so that the distribution's first start already has them, and last what starts it at boot."""
    settings = WslSettings.from_host(host)
    owner = settings.wsl_user
    if owner:
        wsl_user.account(name="Have the account that owns WSL", user=owner)
    operations.settings(
        name="Write WSL's settings",
        config=CONFIG.format(memory=settings.wsl_memory, networking=settings.wsl_networking),
        owner=owner,
    )
    operations.distribution(
        name="Register the WSL distribution",
        distribution=settings.wsl_distro,
        archive=str(settings.wsl_rootfs) if settings.wsl_rootfs else None,
        sha256=settings.wsl_rootfs_sha256,
        source=settings.wsl_rootfs_source,
        location=settings.wsl_location,
        owner=owner,
        config=INSIDE,
    )
    if owner:
        wsl_user.at_startup(name="Start WSL at boot", user=owner, distribution=settings.wsl_distro)
        lines = LineSettings.from_host(host).line_keys
        wsl_user.keys(name="Let the administrators' keys into WSL", user=owner, lines=lines)


@deploy("WSL distribution")
def inside_wsl() -> None:
    """The distribution's own configuration, which Windows does not see."""
    WslSettings.from_host(host)
    operations.configuration(name="Write wsl.conf", config=INSIDE)
