"""Keys `windows` and `linux` of policies/waivers.yaml: who has accepted which deviation, where, why and until when."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from citadelle.hardening.table import Table, TableError


class Waiver(BaseModel):
    """For hosts by a pattern (`pc1`, `@windows/pc1`, `paris-*`) or one group of the inventory; good until the end of the day `expires`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    control: str
    host: str = ""
    group: str = ""
    reason: Annotated[str, Field(min_length=10)]
    expires: date
    accepted_by: Annotated[str, Field(min_length=3)]

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if bool(self.host) == bool(self.group):
            raise ValueError(f"{self.control}: host or group is needed, one of both")
        return self

    def covers(self, host: str, groups: Iterable[str]) -> bool:
        """Whether it speaks of this host."""
        names = (host, host.partition("/")[2].partition("/")[0] or host)
        return any(fnmatchcase(name, self.host) for name in names) if self.host else self.group in groups


def load_waivers(path: Path, table: Table, system: str = "windows") -> list[Waiver]:
    """Read the waivers of one system's table. Raises `TableError`, also for a control that does not exist."""
    try:
        entries = yaml.safe_load(path.read_text("utf-8")).get(system) or []
        waivers = TypeAdapter(list[Waiver]).validate_python(entries)
    except (OSError, yaml.YAMLError, AttributeError) as error:
        raise TableError(f"{path}: cannot be read: {error}") from None
    except ValidationError as error:
        raise TableError(
            "\n".join(f"{path}: {system}: {one['msg']}" for one in error.errors(include_url=False))
        ) from None
    known = {control.id for control in table.controls}
    if unknown := sorted({waiver.control for waiver in waivers} - known):
        raise TableError(f"{path}: waivers of controls that do not exist: {', '.join(unknown)}")
    return waivers
