"""The non-admin accounts of the stack's processes: no shell, no password, no group but their own."""

from pyinfra import host
from pyinfra.api.deploy import deploy

from citadelle.operations import accounts
from roles.service_user.settings import ServiceUserSettings

UIDS = {
    "engine": 10001,
    "gateway": 10002,
    "rag": 10003,
    "tls": 10004,
    "prometheus": 10005,
    "alertmanager": 10006,
    "grafana": 10007,
    "loki": 10008,
}  # as `user:` in compose/; a test holds them equal


@deploy("Service users")
def service_user() -> None:
    """Reserve each container's user id on the host, so that no person's account can ever share it."""
    settings = ServiceUserSettings.from_host(host)
    accounts.service_users(
        name="Reserve the non-admin accounts of the containers",
        uids={f"{settings.service_user_prefix}-{service}": uid for service, uid in UIDS.items()},
    )
