"""policies/windows.yaml and linux.yaml, checked: the lists of controls, which the role applies, the audit judges and the docs show."""

from __future__ import annotations

from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from citadelle.hardening import defender, expression

# The C loader is ten times faster on a table of this length; as safe as the other.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# By the first letters of a control's id: the kinds of places that its host's state has, and those that the role can set.
KINDS = {
    "WIN": ("registry", "service", "audit", "account", "right", "profile", "hyperv", "directive", "state"),
    "LIN": ("sysctl", "sshd", "unit", "file", "setting", "apt", "package", "module", "watch", "pam", "firewall", "mount", "state"),
}  # fmt: skip
JUDGED_ONLY = ("right", "state", "mount")
# What the role may make of it, where not every value is safe.
ONLY = {
    "service": ("Disabled",),
    "unit": ("masked", "enabled running"),
    "package": ("installed",),
    "module": ("blocked",),
}
# What can cut the line to a PC, and so is set by the role `line`, which goes back by itself.
LINE = ("profile", "hyperv", "directive")
Recipe = Literal["block_engine", "block_engine_wsl", "port_proxies", "ssh_rule", "ssh_openings", "ssh_users", "ssh_keys", "ssh_tokens",
                 "ssh_access"]  # fmt: skip
Text = Annotated[str, Field(min_length=5)]
Edition = Literal["pro", "education", "enterprise", "server"]


class TableError(ValueError):
    """The table itself is wrong: `str()` names the file, the control and the rule it breaks."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Probe(_Strict):
    """Where a value stands in the state: exactly one place. `default`: what the system does where the value is absent.

    Windows: `registry`: `KEY!NAME`; `service`: its start mode, `absent` where there is none; `audit`: GUID of a subcategory, 0 to 3;
    `account`: key of secedit's [System Access]; `right`: who has a user right, as SIDs; `profile`, `hyperv`: a property of
    each profile of the firewall, of WSL's firewall; `directive`: of sshd, as sshd itself tells it.
    Linux: `sysctl`: its value; `sshd`: keyword as `sshd -T` prints it; `unit`: `enabled running`, `masked`, `absent`, a name without
    ending is the service and its socket; `file`: `0640 root:shadow` or `absent`, may be a pattern; `setting`: `FILE!KEY`; `apt`:
    key of apt.conf; `package`: installed or absent; `module`: blocked, loadable, loaded or absent; `watch`: what auditd watches of a path;
    `pam`: whether a module is in use; `firewall`: a name in the firewall's own report; `mount`: options of a file system of its own.
    Both: `state`: path into a section.
    """

    registry: Annotated[str, Field(pattern=r"^HK(LM|CU):\\[^!]+![^!]+$")] | None = None
    service: str | None = None
    audit: Annotated[str, Field(pattern=r"^\{[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}\}$")] | None = None
    account: str | None = None
    right: Annotated[str, Field(pattern="^Se[A-Za-z]+$")] | None = None
    profile: Annotated[str, Field(pattern="^[A-Z][A-Za-z]+$")] | None = None
    hyperv: Annotated[str, Field(pattern="^[A-Z][A-Za-z]+$")] | None = None
    directive: Annotated[str, Field(pattern="^[A-Z][A-Za-z0-9]+$")] | None = None
    sysctl: Annotated[str, Field(pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)+$")] | None = None
    sshd: Annotated[str, Field(pattern="^[a-z0-9]+$")] | None = None
    unit: Annotated[str, Field(pattern=r"^[a-z0-9@._-]+$")] | None = None
    file: Annotated[str, Field(pattern=r"^/[A-Za-z0-9@._*/-]+$")] | None = None
    setting: Annotated[str, Field(pattern=r"^/[A-Za-z0-9@._/-]+![A-Za-z0-9_]+$")] | None = None
    apt: Annotated[str, Field(pattern="^[A-Za-z:-]+$")] | None = None
    package: Annotated[str, Field(pattern=r"^[a-z0-9.+-]+$")] | None = None
    module: Annotated[str, Field(pattern="^[a-z0-9_]+$")] | None = None
    watch: Annotated[str, Field(pattern=r"^/[A-Za-z0-9._/-]+$")] | None = None
    pam: Annotated[str, Field(pattern="^[a-z]+$")] | None = None
    firewall: Annotated[str, Field(pattern="^[a-z_]+$")] | None = None
    mount: Annotated[str, Field(pattern=r"^/[a-z/]+$")] | None = None
    state: Annotated[str, Field(pattern=r"^[a-z][a-z_]*(\.[A-Za-z]\w*)*$")] | None = None
    where: dict[str, expression.Wanted] = {}
    default: Any = None

    @cached_property
    def kind(self) -> str:
        """Which of the places it is."""
        return self._given()[0]

    @cached_property
    def target(self) -> str:
        """The name that stands behind the kind."""
        return str(getattr(self, self.kind))

    def _given(self) -> list[str]:
        return [
            name for kinds in KINDS.values() for name in kinds if name in self.model_fields_set and getattr(self, name)
        ]

    @property
    def switch(self) -> tuple[str, str] | None:
        """Kind and name of the setting behind the value; None where it can only be judged."""
        if self.kind not in JUDGED_ONLY:
            return self.kind, self.target
        return defender.switch(self.target, self.where)

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        given = list(dict.fromkeys(self._given()))
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

    `waived`: the reason why this bundle itself does not follow the source; `editions`: families of Windows that have it, empty for all;
    `when`: all that must be so for the control to make sense; `says`: the wanted value for people, where the expression is hard to read;
    `refuses`: what to do about it, on a control without which nothing at all is changed on the host.
    `recipe`: how the role `line` sets what is no single value.
    """

    id: Annotated[str, Field(pattern=r"^(WIN|LIN)-[A-Z]{3}-\d{2}$")]
    title: Title
    source: Annotated[tuple[str, ...], Field(min_length=1)]
    severity: Literal["critical", "high", "medium", "low"]
    judge: Probe
    wanted: expression.Wanted
    apply: bool | int | str | None = None
    recipe: Recipe | None = None
    reboot: bool = False
    editions: tuple[Edition, ...] = ()
    when: Annotated[
        tuple[Condition, ...], BeforeValidator(lambda given: given if isinstance(given, list | tuple) else [given])
    ] = ()
    waived: str = ""
    says: str = ""
    refuses: str = ""

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if found := expression.problem(self.wanted):
            raise ValueError(f"wanted {found}")
        kind = self.judge.kind
        if kind not in KINDS[self.id[:3]]:
            raise ValueError(f"its host has no such place: {kind}")
        if kind == "audit" and set(self.wanted) != {"bits"}:
            raise ValueError("an audited subcategory wants bits")
        if self.refuses and self.apply is not None:
            raise ValueError("what can be set needs no refusal")
        if self.apply is not None and (found := self._cannot_apply(kind)):
            raise ValueError(found)
        return self

    def _cannot_apply(self, kind: str) -> str:
        if self.judge.switch is None:
            return f"cannot be applied: {kind}"
        if kind in ONLY and self.apply not in ONLY[kind]:
            return f"a {kind} can only be {' or '.join(ONLY[kind])}: {self.apply}"
        value = [{"Action": self.apply}] if self.judge.target == defender.RULES else self.apply
        if expression.holds(value, self._wanted_of_one()):
            return ""
        return f"what it applies is not what it wants: {self.apply!r}"

    def _wanted_of_one(self) -> expression.Wanted:
        """What is wanted of a single value, where the control asks it of each item of a list."""
        if self.judge.kind not in ("profile", "hyperv"):
            return self.wanted
        return self.wanted.get("every", {}).get(self.judge.target, {"any": []})

    @property
    def is_set(self) -> bool:
        """Whether some role sets it."""
        return self.apply is not None or self.recipe is not None

    @property
    def is_line(self) -> bool:
        """Whether it is set by the role `line`."""
        return self.is_set and (self.judge.kind in LINE or self.recipe is not None)


class Table(_Strict):
    """All controls, in the order of the file. `conditions`: a place for what several of them share, by YAML's own anchors."""

    conditions: dict[str, Condition] = {}
    controls: Annotated[tuple[Control, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _unique(self) -> Self:
        ids = [control.id for control in self.controls]
        if twice := sorted({name for name in ids if ids.count(name) > 1}):
            raise ValueError(f"ids occur twice: {', '.join(twice)}")
        return self

    @classmethod
    def load(cls, path: Path) -> Table:
        """Read the file; once for all hosts of a run. Raises `TableError`."""
        try:
            return cls._parsed(path, path.stat().st_mtime_ns)
        except (OSError, yaml.YAMLError) as error:
            raise TableError(f"{path}: cannot be read: {error}") from None
        except ValidationError as error:
            told = (
                f"{path}: {'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_url=False)
            )
            raise TableError("\n".join(told)) from None

    @classmethod
    @cache
    def _parsed(cls, path: Path, _changed: int) -> Table:
        return cls.model_validate(yaml.load(path.read_text("utf-8"), Loader=LOADER))  # noqa: S506  (both are safe)

    @property
    def registry_values(self) -> list[str]:
        """Every registry value that some control is judged by, each once, sorted by key."""
        return self.names.get("registry", [])

    @cached_property
    def names(self) -> dict[str, list[str]]:
        """All that some control is judged by: kind -> names, each once, sorted."""
        probes = {(probe.kind, probe.target) for control in self.controls for probe in _probes(control)}
        return {
            kind: sorted(target for found, target in probes if found == kind)
            for kind in sorted({kind for kind, _ in probes})
        }


def _probes(control: Control) -> list[Probe]:
    return [control.judge, *(condition.judge for condition in control.when)]
