"""WSL on the Windows side: its settings, and the distribution that carries the stack."""

from pyinfra import host
from pyinfra.api.deploy import deploy

from citadelle.operations import windows
from roles.wsl.settings import WslSettings

# Negative timeouts: the virtual machine and the distribution stay up with nobody logged in.
CONFIG = """[wsl2]
memory={memory}
networkingMode=nat
firewall=true
dnsTunneling=true
guiApplications=false
nestedVirtualization=false
debugConsole=false
vmIdleTimeout=-1
[general]
instanceIdleTimeout=-1
"""


@deploy("WSL")
def wsl() -> None:
    """Settings first, so that the distribution's first start already has them."""
    settings = WslSettings.from_host(host)
    windows.wsl_settings(name="Write WSL's settings", config=CONFIG.format(memory=settings.wsl_memory))
    windows.distribution(
        name="Register the WSL distribution",
        distribution=settings.wsl_distro,
        archive=str(settings.wsl_rootfs) if settings.wsl_rootfs else None,
        sha256=settings.wsl_rootfs_sha256,
        location=settings.wsl_location,
    )
