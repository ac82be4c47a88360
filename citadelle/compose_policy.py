"""Judge a rendered Compose model against policies/compose.yaml. Pure: dictionaries in, findings out."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from citadelle.compose_checks import CHECKS, PREDICATES, STACK

_UNSET = "\0unset"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Rule(_Strict):
    """One rule: a predicate on a path of a service, or a named check."""

    id: Annotated[str, Field(pattern=r"^[a-z][a-z-]*$")]
    title: str
    cis: tuple[Annotated[str, Field(pattern=r"^[45]\.\d+$")], ...] = ()
    path: str | None = None
    equals: Any = _UNSET
    one_of: list[Any] | str = _UNSET
    matches: str = _UNSET
    contains: str = _UNSET
    excludes: str = _UNSET
    absent: bool | str = _UNSET
    present: bool | str = _UNSET
    check: str | None = None
    allowed: dict[str, list[Any]] = {}
    writable: dict[str, list[str]] = {}
    system: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()

    @property
    def predicates(self) -> dict[str, Any]:
        """The predicates that the rule sets, by name."""
        return {name: value for name in PREDICATES if (value := getattr(self, name)) != _UNSET}

    @model_validator(mode="after")
    def _one_check(self) -> Self:
        count = len(self.predicates)
        if (self.path is None) != (count == 0) or count + (self.check is not None) != 1:
            raise ValueError(f"{self.id}: exactly one check is needed")
        if self.check is not None and self.check not in CHECKS:
            raise ValueError(f"{self.id}: no such check: {self.check}")
        return self


class Policy(_Strict):
    """policies/compose.yaml, checked."""

    rules: tuple[Rule, ...]
    elsewhere: dict[str, str] = {}

    @model_validator(mode="after")
    def _unique(self) -> Self:
        ids = [rule.id for rule in self.rules]
        if twice := {name for name in ids if ids.count(name) > 1}:
            raise ValueError(f"rule ids occur twice: {sorted(twice)}")
        return self


class Waiver(_Strict):
    """An exception to one rule for one service, good until the end of the day `expires`."""

    rule: str
    service: str
    reason: Annotated[str, Field(min_length=10)]
    expires: date


@dataclass(frozen=True)
class Finding:
    """`service` is a service, or `network NAME` / `volume NAME` of the stack."""

    rule: str
    service: str
    problem: str

    def __str__(self) -> str:
        return f"{self.service}: {self.rule}: {self.problem}"


def load_policy(path: Path) -> Policy:
    """Read policies/compose.yaml. Raise OSError, yaml.YAMLError, pydantic.ValidationError."""
    return Policy.model_validate(yaml.safe_load(path.read_text("utf-8")))


def load_waivers(path: Path) -> list[Waiver]:
    """Read the key `compose` of policies/waivers.yaml. Raise OSError, yaml.YAMLError, pydantic.ValidationError."""
    entries = yaml.safe_load(path.read_text("utf-8"))["compose"]
    return [Waiver.model_validate(entry) for entry in entries]


def judge(model: dict[str, Any], policy: Policy) -> list[Finding]:
    """All findings in a rendered model (`docker compose config --format json`), in the order of the rules."""
    if not model.get("services"):
        return [Finding("services", "stack", "has no service")]
    return [finding for rule in policy.rules for finding in _apply(rule, model)]


def waive(findings: list[Finding], waivers: list[Waiver], today: date) -> list[Finding]:
    """The findings left after the waivers, and one more for each waiver that has expired or excuses nothing."""
    valid = {(waiver.rule, waiver.service) for waiver in waivers if waiver.expires >= today}
    left = [finding for finding in findings if (finding.rule, finding.service) not in valid]
    found = {(finding.rule, finding.service) for finding in findings}
    return left + [problem for waiver in waivers for problem in _stale(waiver, found, today)]


def _stale(waiver: Waiver, found: set[tuple[str, str]], today: date) -> Iterator[Finding]:
    if waiver.expires < today:
        yield Finding(waiver.rule, waiver.service, f"waiver expired on {waiver.expires}")
    elif (waiver.rule, waiver.service) not in found:
        yield Finding(waiver.rule, waiver.service, "waiver excuses nothing")


def _apply(rule: Rule, model: dict[str, Any]) -> Iterator[Finding]:
    if rule.check in STACK:
        yield from (Finding(rule.id, where, problem) for where, problem in STACK[rule.check](model))
        return
    for name, service in model["services"].items():
        yield from (Finding(rule.id, name, problem) for problem in _problems(rule, name, service))


def _problems(rule: Rule, name: str, service: dict[str, Any]) -> Iterator[str]:
    if rule.check is not None:
        yield from CHECKS[rule.check](name, service, rule)
        return
    value = _at(service, str(rule.path))
    for predicate, wanted in rule.predicates.items():
        if not PREDICATES[predicate](value, wanted):
            yield f"{rule.path} is {_shown(value)}, {predicate} {_shown(wanted)} is required"


def _at(service: dict[str, Any], path: str) -> Any:
    value: Any = service
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _shown(value: Any) -> str:
    return re.sub(r"\s+", " ", repr(value))[:120]
