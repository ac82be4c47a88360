"""What a control may ask of one value: a closed set of predicates, given as data. Nothing is evaluated."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from citadelle.hardening import networks

Wanted = dict[str, Any]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _equals(value: Any, wanted: Any) -> bool:
    """As written; 1 is not true, and texts of Windows have no case."""
    if isinstance(value, str) and isinstance(wanted, str):
        return value.casefold() == wanted.casefold()
    return type(value) is type(wanted) and value == wanted


def _every(value: Any, wanted: dict[str, Wanted]) -> bool:
    return isinstance(value, list) and all(matches(item, wanted) for item in value)


def _has_port(entry: str, port: int) -> bool:
    first, _, last = entry.partition("-")
    if first.strip().isdigit():
        return int(first) <= port <= int(last or first)
    return first.casefold() == "any"


def _spares(value: Any, port: int) -> bool:
    """Of ports as a rule of the firewall writes them: numbers, ranges, `Any`; none means all."""
    return isinstance(value, list) and bool(value) and not any(_has_port(str(one), port) for one in value)


PREDICATES: dict[str, Callable[[Any, Any], bool]] = {
    "equals": _equals,
    "not_equals": lambda value, wanted: not _equals(value, wanted),
    "one_of": lambda value, wanted: any(_equals(value, one) for one in wanted),
    "at_least": lambda value, wanted: _is_number(value) and value >= wanted,
    "at_most": lambda value, wanted: _is_number(value) and value <= wanted,
    "bits": lambda value, wanted: isinstance(value, int) and value & wanted == wanted,
    "contains": lambda value, wanted: isinstance(value, list) and any(_equals(item, wanted) for item in value),
    "excludes": lambda value, wanted: isinstance(value, list) and not any(_equals(item, wanted) for item in value),
    "networks": lambda value, wanted: (
        isinstance(value, list) and all(networks.is_named(str(one)) for one in value) is wanted
    ),
    "spares": _spares,
    "like": lambda value, wanted: isinstance(value, str) and re.fullmatch(wanted, value) is not None,
    "empty": lambda value, wanted: (value in (None, "", [], {})) is wanted,
    "every": _every,
    "any": lambda value, wanted: any(holds(value, one) for one in wanted),
}


def problem(wanted: Wanted) -> str:
    """What is wrong with an expression itself; empty when nothing is."""
    if not wanted:
        return "says nothing"
    if unknown := set(wanted) - set(PREDICATES):
        return f"has no such predicate: {', '.join(sorted(unknown))}"
    inner = [*wanted.get("every", {}).values(), *wanted.get("any", [])]
    return next((found for found in map(problem, inner) if found), "")


def holds(value: Any, wanted: Wanted) -> bool:
    """Whether every predicate holds for the value."""
    return all(PREDICATES[name](value, argument) for name, argument in wanted.items())


def matches(item: Any, fields: dict[str, Wanted]) -> bool:
    """Whether each named field of an item holds."""
    return isinstance(item, dict) and all(holds(item.get(name), wanted) for name, wanted in fields.items())


def describe(wanted: Wanted) -> str:
    """The expression for people: `1`, `at least 14`, `every enabled 1`."""
    return ", ".join(_words(name, argument) for name, argument in wanted.items())


def _words(name: str, argument: Any) -> str:
    match name, argument:
        case "equals", _:
            return show(argument)
        case "one_of", _:
            return " or ".join(show(one) for one in argument)
        case "any", _:
            return " or ".join(describe(one) for one in argument)
        case "every", _:
            return "each with " + " and ".join(f"{field} {describe(wanted)}" for field, wanted in argument.items())
        case "empty", _:
            return "nothing" if argument else "one or more"
        case _:
            return f"{name.replace('_', ' ')} {show(argument)}"


def show(value: Any) -> str:
    """A value in one short line."""
    return " ".join(_plain(value).split())[:160]


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_plain(item) for item in value) or "nothing"
    if isinstance(value, dict):
        return " ".join(f"{name}={_plain(item)}" for name, item in value.items()) or "nothing"
    if value is None or isinstance(value, bool):
        return {None: "absent", True: "yes", False: "no"}[value]
    return str(value) or "nothing"
