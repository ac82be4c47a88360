"""Events of Windows: handed to the distribution, from where they are shipped with its own logs."""

from pyinfra import host
from pyinfra.api.deploy import deploy

from citadelle.operations import events as operations
from citadelle.settings import DeployError
from citadelle.shipping import channels
from roles.events.settings import EventsSettings
from roles.wsl.settings import WslSettings


@deploy("Events")
def events() -> None:
    """Nothing, where the settings do not ask for it."""
    settings, distribution = EventsSettings.from_host(host), WslSettings.from_host(host)
    if not settings.events:
        return
    if not distribution.wsl_user:
        raise DeployError(
            f"{host.name}: events need an owner of the distribution: wsl_user = ''\nhint: leave wsl_user out"
        )
    try:
        table = channels.content(channels.load(settings.events_table), distribution.wsl_distro)
    except ValueError as error:
        raise DeployError(
            f"{host.name}: table of events is not right: {settings.events_table}: {error}\nhint: its head says what stands in it"
        ) from None
    operations.handed_over(
        name="Hand events of Windows to the distribution",
        user=distribution.wsl_user,
        table=table,
        seconds=settings.events_seconds,
    )
