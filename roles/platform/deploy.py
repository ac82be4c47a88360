"""The PC judged, before anything is changed on it."""

from pyinfra import host
from pyinfra.api.deploy import deploy

from citadelle.operations import windows
from roles.platform.settings import PlatformSettings


@deploy("Platform")
def platform() -> None:
    """Refuse Home editions and old builds."""
    settings = PlatformSettings.from_host(host)
    windows.supported(name="Judge edition and build of Windows", min_build=settings.platform_min_build)
