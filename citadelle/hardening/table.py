"""policies/windows.yaml, checked: the one list of controls, which the role applies, the audit judges and the docs show."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from citadelle.hardening import expression

# The C loader is ten times faster on a table of this length; as safe as the other.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
APPLIED = ("registry", "service", "audit", "account")
Text = Annotated[str, Field(min_length=5)]
Edition = Literal["pro", "education", "enterprise", "server"]


class TableError(ValueError):
    """The table itself is wrong: `str()` names the file, the control and the rule it breaks."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Probe(_Strict):
    """Where a value stands in the state: exactly one of the first six.

    `registry`: `KEY!NAME`; `service`: its start mode, `absent` where there is none; `audit`: GUID of a subcategory, 0 to 3;
    `account`: key of secedit's [System Access]; `right`: who has a user right, as SIDs; `state`: path into a section.
    """

    registry: Annotated[str, Field(pattern=r"^HK(LM|CU):\\[^!]+![^!]+$")] | None = None
    service: str | None = None
    audit: Annotated[str, Field(pattern=r"^\{[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}\}$")] | None = None
    account: str | None = None
    right: Annotated[str, Field(pattern="^Se[A-Za-z]+$")] | None = None
    state: Annotated[str, Field(pattern=r"^[a-z][a-z_]*(\.[A-Za-z]\w*)*$")] | None = None
    where: dict[str, expression.Wanted] = {}
    default: Any = None

    @property
    def kind(self) -> str:
        """Which of the six it is."""
        return next(
            name for name in ("registry", "service", "audit", "account", "right", "state") if getattr(self, name)
        )

    @property
    def target(self) -> str:
        """The name that stands behind the kind."""
        return str(getattr(self, self.kind))

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        given = [name for name in ("registry", "service", "audit", "account", "right", "state") if getattr(self, name)]
        if len(given) != 1:
            raise ValueError(f"exactly one place of a value is needed, not {given}")
        for fields in self.where.values():
            if found := expression.problem(fields):
                raise ValueError(f"where {found}")
        return self


class Condition(_Strict):
    """When a control makes sense at all; `because` says why not."""

    judge: Probe
    wanted: expression.Wanted
    because: Text


class Title(_Strict):
    """One sentence: what is so on a right PC."""

    en: Text
    fr: Text


class Control(_Strict):
    """One control. `apply`: the value that the role may set by itself, since it is safe and can be undone; None: judged only.

    `waived`: the reason why this bundle itself does not follow the source; `editions`: families that have it, empty for all;
    `says`: the wanted value for people, where the expression is hard to read.
    """

    id: Annotated[str, Field(pattern=r"^WIN-[A-Z]{3}-\d{2}$")]
    title: Title
    source: Annotated[tuple[str, ...], Field(min_length=1)]
    severity: Literal["critical", "high", "medium", "low"]
    judge: Probe
    wanted: expression.Wanted
    apply: int | str | None = None
    reboot: bool = False
    editions: tuple[Edition, ...] = ()
    when: Condition | None = None
    waived: str = ""
    says: str = ""

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if found := expression.problem(self.wanted):
            raise ValueError(f"wanted {found}")
        if self.judge.kind == "audit" and set(self.wanted) != {"bits"}:
            raise ValueError("an audited subcategory wants bits")
        if self.apply is not None:
            if self.judge.kind not in APPLIED:
                raise ValueError(f"cannot be applied: {self.judge.kind}")
            if self.judge.kind == "service" and self.apply != "Disabled":
                raise ValueError(f"a service can only be Disabled: {self.apply}")
            if not expression.holds(self.apply, self.wanted):
                raise ValueError(f"what it applies is not what it wants: {self.apply!r}")
        return self


class Table(_Strict):
    """All controls, in the order of the file."""

    controls: Annotated[tuple[Control, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _unique(self) -> Self:
        ids = [control.id for control in self.controls]
        if twice := sorted({name for name in ids if ids.count(name) > 1}):
            raise ValueError(f"ids occur twice: {', '.join(twice)}")
        return self

    @classmethod
    def load(cls, path: Path) -> Table:
        """Read the file. Raises `TableError`."""
        try:
            return cls.model_validate(yaml.load(path.read_text("utf-8"), Loader=LOADER))  # noqa: S506  (both are safe)
        except (OSError, yaml.YAMLError) as error:
            raise TableError(f"{path}: cannot be read: {error}") from None
        except ValidationError as error:
            told = (
                f"{path}: {'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_url=False)
            )
            raise TableError("\n".join(told)) from None

    @property
    def registry_values(self) -> list[str]:
        """Every registry value that some control is judged by, each once, sorted by key."""
        probes = [probe for control in self.controls for probe in _probes(control)]
        return sorted({probe.registry for probe in probes if probe.registry})


def _probes(control: Control) -> list[Probe]:
    return [control.judge] + ([control.when.judge] if control.when else [])
