"""Settings of the role `line`."""

from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Self

from pydantic import Field, model_validator

from citadelle.settings import RoleSettings

KEY = r"^[^\r\n]*(?:sk-)?(?:ssh|ecdsa)-[a-z0-9@.-]+ [A-Za-z0-9+/]{32,}={0,3}(?: [^\r\n]*)?$"


class LineSettings(RoleSettings):
    """What the line to a Windows PC hangs on, firewall and SSH server: who may come, and from where; `docs/line.md`."""

    line_networks: tuple[IPv4Network | IPv6Network, ...] = Field(
        (), description="Networks of administration, as `10.1.0.0/24`: SSH is for them alone; empty: as the PC has it."
    )
    line_users: tuple[Annotated[str, Field(pattern=r"^[^\s@*?!]+$")], ...] = Field(
        (),
        description="Users who may log in over SSH, and `wsl_user` with them; empty: with `line_networks` the user of `ssh_user`, "
        "else as the PC has it.",
    )
    line_keys: tuple[Annotated[str, Field(pattern=KEY)], ...] = Field(
        (),
        description="Public keys of the administrators, each a line as in a `.pub` file, and no others; empty: as the PC has them.",
    )
    line_tokens: bool = Field(
        False,
        description="Only keys on FIDO tokens (`sk-`) that ask for a person each time; pyinfra then logs in through an agent.",
    )
    line_seconds: int = Field(
        120,
        ge=15,
        le=900,
        description="Time after which a PC takes a change of its line back that nobody has confirmed by getting in anew.",
    )
    line_apply: bool = Field(True, description="Set what is wrong; False: it is told only.")

    @model_validator(mode="after")
    def _tokens_alone(self) -> Self:
        other = [key for key in self.line_keys if "sk-" not in key]
        if self.line_tokens and other:
            raise ValueError(f"line_tokens: a key of line_keys is not on a token: {other[0][:60]}")
        return self
