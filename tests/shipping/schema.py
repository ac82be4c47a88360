"""Messages held against schemas that others have written: OCSF 1.8.0 and ECS 9.3.0, as data; `source` in each says where from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"
OCSF = json.loads((DATA / "ocsf-1.8.0.json").read_text())
ECS = json.loads((DATA / "ecs-9.3.0.json").read_text())["fields"]
OF_JSON = {"string_t": str, "integer_t": int, "long_t": int, "float_t": float, "boolean_t": bool, "timestamp_t": int}
OF_ECS = {
    "keyword": str,
    "wildcard": str,
    "match_only_text": str,
    "date": str,
    "ip": str,
    "long": int,
    "integer": int,
    "float": float,
}


def ocsf(event: dict[str, Any]) -> list[str]:
    """What is wrong with it as an event of its class."""
    kind = OCSF["classes"][str(event["class_uid"])]
    return list(_object("", event, kind, {"base", *event.get("metadata", {}).get("profiles", [])}))


def _object(path: str, value: dict[str, Any], schema: dict[str, Any], profiles: set[str]) -> Iterator[str]:
    attributes = schema["attributes"]
    for name, rule in attributes.items():
        # An attribute of a profile belongs to those events alone that name the profile.
        there = profiles & set(rule.get("profiles") or ["base"])
        if rule["requirement"] == "required" and there and name not in value:
            yield f"{path}{name}: required"
        if name in value and not there:
            yield f"{path}{name}: its profile is not named"
    if (one_of := schema["constraints"].get("at_least_one")) and not set(one_of) & value.keys():
        yield f"{path}: none of {one_of}"
    for name, part in value.items():
        if name not in attributes:
            yield f"{path}{name}: unknown"
        else:
            yield from _value(f"{path}{name}", part, attributes[name], profiles)


def _value(path: str, value: Any, rule: dict[str, Any], profiles: set[str]) -> Iterator[str]:
    if rule.get("array"):
        for one in value if isinstance(value, list) else [None]:
            yield from _value(path, one, {**rule, "array": False}, profiles)
    elif rule["type"] in OCSF["objects"]:
        yield from _object(f"{path}.", value, OCSF["objects"][rule["type"]], profiles)
    else:
        kind = OF_JSON.get(rule["type"]) or OF_JSON[OCSF["types"][rule["type"]]]
        if type(value) is not kind:
            yield f"{path}: not {rule['type']}: {value!r}"
        elif "enum" in rule and str(value) not in rule["enum"]:
            yield f"{path}: none of {rule['enum']}: {value}"


def ecs(event: dict[str, Any]) -> list[str]:
    """What is wrong with it: fields that ECS has not, values of another kind, categories and types that do not go together."""
    found = dict(_flat("", event))
    problems = [f"{name}: unknown" for name in found if name not in ECS]
    problems += [problem for name in found if name in ECS for problem in _field(name, found[name], ECS[name])]
    expected = {kind for name in found["event.category"] for kind in ECS["event.category"]["allowed"][name]}
    return problems + [f"event.type: {kind}" for kind in found["event.type"] if kind not in expected]


def _flat(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _flat(f"{path}.{name}".lstrip("."), part)
    else:
        yield path, value


def _field(name: str, value: Any, rule: dict[str, Any]) -> Iterator[str]:
    if rule.get("array") != isinstance(value, list) and (rule.get("array") or isinstance(value, list)):
        yield f"{name}: an array, or not: {value!r}"
        return
    for one in value if isinstance(value, list) else [value]:
        if type(one) is not OF_ECS[rule["type"]]:
            yield f"{name}: not {rule['type']}: {one!r}"
        elif "allowed" in rule and one not in rule["allowed"]:
            yield f"{name}: none of {list(rule['allowed'])}: {one}"
