"""The table of events that leave a Windows PC (`policies/windows-events.yaml`), and what the PC is told of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from citadelle.shipping import events

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9 _-]{0,63}$")]
Values = dict[Name, Annotated[list[Annotated[str, Field(max_length=128)]], Field(min_length=1)]]
# Windows refuses a query of more than some twenty terms ("The specified query is invalid").
MOST_IDS = 20


class Row(BaseModel):
    """Events of one channel: which, and what of them goes along."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=f"^{events.ROW.pattern}$")]
    channel: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9 /_-]{0,127}$")]
    ids: Annotated[list[Annotated[int, Field(ge=1, le=65535)]], Field(max_length=MOST_IDS)] = []
    keep: Annotated[list[Name], Field(min_length=1)]
    only: Values = {}
    without: Values = {}
    severity: Literal["informational", "notice", "warning", "error"] = "informational"


class Table(BaseModel):
    """All rows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    events: Annotated[list[Row], Field(min_length=1)]

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        names = [row.name for row in self.events]
        asked = [(row.channel, number) for row in self.events for number in row.ids or [0]]
        whole = {row.channel for row in self.events if not row.ids}
        twice = {one for one in names if names.count(one) > 1} | {
            f"{channel} {number}"
            for channel, number in asked
            if asked.count((channel, number)) > 1 or (number and channel in whole)
        }
        if twice:
            raise ValueError(f"stands there twice: {', '.join(sorted(twice))}")
        return self


def load(path: Path) -> list[Row]:
    """The rows of a table. Raises ValueError, with all that is wrong."""
    try:
        return TypeAdapter(Table).validate_python(yaml.safe_load(path.read_text())).events
    except (OSError, yaml.YAMLError) as error:
        raise ValueError(f"cannot be read: {error}") from None
    except ValidationError as error:
        shown = (f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in error.errors())
        raise ValueError("; ".join(shown)) from None


def content(rows: Sequence[Row], distribution: str) -> bytes:
    """The table as the program on the PC reads it, with what it hands events over to."""
    words = f"-d {distribution} -u root --exec /usr/bin/python3 -I -B {events.PROGRAM}"
    found = {
        "program": r"C:\Program Files\WSL\wsl.exe",
        "arguments": words,
        "events": [row.model_dump() for row in rows],
    }
    return json.dumps(found, indent=1).encode() + b"\n"
