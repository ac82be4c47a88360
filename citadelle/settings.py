"""Settings of roles: typed, frozen, read from inventory data in one place.

Each role has one `RoleSettings` class in `roles/<role>/settings.py`. Its fields are the inventory keys (flat, prefixed with the
role's name) and its defaults are the only ones. Raises `DeployError`, which pyinfra prints as one message before any change.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Self, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator
from pyinfra.api.exceptions import PyinfraError
from pyinfra.connectors.ssh import SSHConnector

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic.fields import FieldInfo
    from pyinfra.api.host import Host

MODULE = re.compile(r"\b(?:[a-z_]+\.)+(?=[A-Z])")


class DeployError(PyinfraError):
    """A refusal that the operator can cure; `str()` is `<host>: <what>: <value>` lines, each with its `hint:` line."""


class RoleSettings(BaseModel):
    """Base of every role's settings: flat keys, unknown types refused, frozen after reading."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=False, arbitrary_types_allowed=False, validate_default=True
    )

    @field_validator("*")
    @classmethod
    def _at_home(cls, value: Any) -> Any:
        """Every path of a setting lies on the controller: `~` is the home of whoever runs pyinfra."""
        return value.expanduser() if isinstance(value, Path) else value

    @classmethod
    def from_host(cls, host: Host) -> Self:
        """Read this role's keys from the host's inventory data.

        Returns the settings; raises `DeployError` that lists every bad key of the host with its rule, value and default.
        """
        data = host.data.dict()
        given = {key: data[key] for key in cls.model_fields if data.get(key) is not None}
        try:
            return cls(**given)
        except ValidationError as error:
            raise DeployError("\n".join(_explain(host, cls, error))) from None


def _explain(host: Host, cls: type[RoleSettings], error: ValidationError) -> Iterable[str]:
    for problem in error.errors(include_url=False):
        key = ".".join(str(part) for part in problem["loc"]) or cls.__name__
        message = problem["msg"].removeprefix("Value error, ")
        yield f"{host.name}: setting {key}: {message}: {problem.get('input')!r}"
        field = cls.model_fields.get(key.split(".", maxsplit=1)[0])
        yield f"hint: {_cure(key, field)}"


def _cure(key: str, field: FieldInfo | None) -> str:
    if field is None:
        return "see docs/settings.md"
    if field.is_required():
        return f"set {key} in the inventory: {field.description}"
    return f"default is {_default(field)}; {field.description}"


def known_keys() -> set[str]:
    """Every inventory key that something reads: fields of all imported `RoleSettings`, and the connectors' own data."""
    roles = {key for cls in _subclasses(RoleSettings) for key in cls.model_fields}
    return roles | set(SSHConnector.data_meta) | _connector_keys()


def _connector_keys() -> set[str]:
    from citadelle.connectors.linux import LinuxConnector
    from citadelle.connectors.windows import WindowsConnector
    from citadelle.connectors.wsl import WSLConnector

    return {key for cls in (LinuxConnector, WindowsConnector, WSLConnector) for key in cls.data_meta}


def _subclasses(cls: type[RoleSettings]) -> Iterable[type[RoleSettings]]:
    for child in cls.__subclasses__():
        yield child
        yield from _subclasses(child)


def refuse_bad_data(host: Host) -> None:
    """Raise `DeployError` with all that is wrong in a host's data: keys that nothing reads, and values that break a role's rules."""
    given = host.data.dict().keys()
    problems = list(_unknown_keys(host))
    for cls in _subclasses(RoleSettings):
        try:
            if given & cls.model_fields.keys():
                cls.from_host(host)
        except DeployError as error:
            problems.append(str(error))
    if problems:
        raise DeployError("\n".join(problems))


def _unknown_keys(host: Host) -> Iterable[str]:
    """Two lines for each. Keys that start with `_` are pyinfra's own global arguments; the host's own connector has keys too."""
    known = known_keys() | set(host.connector_cls.data_meta)
    for key in sorted(key for key in host.data.dict() if key not in known and not key.startswith("_")):
        near = get_close_matches(key, known, n=1)
        yield f"{host.name}: unknown inventory key: {key}"
        yield f"hint: did you mean {near[0]}?" if near else "hint: all keys are listed in docs/settings.md"


def describe(cls: type[RoleSettings]) -> list[tuple[str, str, str, str]]:
    """Rows (key, type, default, description) of a settings class, in the order of its fields; used for docs/settings.md."""
    return [
        (key, _type_name(field.annotation), _default(field), field.description or "")
        for key, field in cls.model_fields.items()
    ]


def _default(field: FieldInfo) -> str:
    return "required" if field.is_required() else repr(_plain(field.get_default(call_default_factory=True)))


def _plain(value: Any) -> Any:
    """As an inventory writes it: paths and addresses are texts there."""
    return str(value) if isinstance(value, PurePath | IPv4Address | IPv6Address) else value


def _type_name(annotation: Any) -> str:
    if getattr(annotation, "__origin__", None) is None and isinstance(annotation, type):
        return annotation.__name__
    if str(annotation).startswith("typing.Literal"):
        return " or ".join(repr(value) for value in get_args(annotation))
    return MODULE.sub("", str(annotation)).replace("NoneType", "None")
