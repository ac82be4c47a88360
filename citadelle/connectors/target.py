"""Where and how a PC is reached, from pyinfra's own `ssh_*` host data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STRICT = ("yes", "true")
Identity = tuple[str, int, str, str | None, str]  # host name, port, user, key file, known_hosts file
CONNECT_SECONDS = 15


@dataclass(frozen=True)
class Target:
    """One PC's SSH server and the user there. `options` are the remaining `ssh_*` keys, as in the host data."""

    name: str
    hostname: str
    port: int
    user: str
    key: str | None
    known_hosts: str
    options: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @classmethod
    def from_data(cls, name: str, data: Mapping[str, Any]) -> Target:
        """`name` is the PC's name; `data` holds the `ssh_*` keys of pyinfra's SSH connector."""
        return cls(
            name=name,
            hostname=data.get("ssh_hostname") or name,
            port=int(data.get("ssh_port") or 22),
            user=data.get("ssh_user") or "root",
            key=str(Path(data["ssh_key"]).expanduser()) if data.get("ssh_key") else None,
            known_hosts=str(Path(data.get("ssh_known_hosts_file") or "~/.ssh/known_hosts").expanduser()),
            options={key: value for key, value in data.items() if key.startswith("ssh_")},
        )

    @property
    def identity(self) -> Identity:
        """What makes two hosts share a connection: nobody goes through a door that another one's key or known hosts opened."""
        return self.hostname, self.port, self.user, self.key, self.known_hosts

    @property
    def known_as(self) -> str:
        """The name under which known_hosts files list this server."""
        return self.hostname if self.port == 22 else f"[{self.hostname}]:{self.port}"

    @property
    def arguments(self) -> dict[str, Any]:
        """What the client's `connect` takes."""
        return {
            "port": self.port,
            "username": self.user,
            "password": self.option("ssh_password"),
            "key_filename": self.key,
            "passphrase": self.option("ssh_key_password"),
            "allow_agent": self.key is None and self.option("ssh_allow_agent", True),
            "look_for_keys": self.key is None and self.option("ssh_look_for_keys", True),
            "timeout": CONNECT_SECONDS,
            "banner_timeout": CONNECT_SECONDS,
            "auth_timeout": CONNECT_SECONDS,
            "_pyinfra_ssh_forward_agent": self.option("ssh_forward_agent"),
            "_pyinfra_ssh_config_file": self.option("ssh_config_file"),
            "_pyinfra_ssh_known_hosts_file": self.known_hosts,
            "_pyinfra_ssh_strict_host_key_checking": "yes",
            "_pyinfra_ssh_paramiko_connect_kwargs": self.option("ssh_paramiko_connect_kwargs"),
        }

    @property
    def where(self) -> str:
        """For messages."""
        return f"{self.hostname} port {self.port}"

    def option(self, key: str, default: Any = None) -> Any:
        """One of the remaining keys; None counts as not given."""
        value = self.options.get(key)
        return default if value is None else value
