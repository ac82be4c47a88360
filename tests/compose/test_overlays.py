"""What an accelerator's file does to the stack: it adds to the engine, and takes nothing of its confinement away."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from . import render

WITH = [combination for combination in render.COMBINATIONS if combination.accelerator]
ADDS = {"devices", "group_add", "environment", "volumes"}
Model = dict[str, Any]


def taken_away(base: Model, with_overlay: Model) -> list[str]:
    """What of `base` is no longer so, and what is there that an accelerator has no business with."""
    found = [
        key for key in base.keys() | with_overlay.keys() if key != "services" and base.get(key) != with_overlay.get(key)
    ]
    for name in base["services"].keys() | with_overlay["services"].keys():
        before, after = base["services"].get(name, {}), with_overlay["services"].get(name, {})
        free = ADDS if name == "engine" else set()
        found += [
            f"{name}.{key}"
            for key in before.keys() | after.keys()
            if key not in free and before.get(key) != after.get(key)
        ]
        variables = {**(before.get("environment") or {})}
        found += [
            f"{name}.environment.{key}"
            for key in variables
            if (after.get("environment") or {}).get(key) != variables[key]
        ]
        found += [
            f"{name}.volumes" for mount in before.get("volumes") or [] if mount not in (after.get("volumes") or [])
        ]
    return sorted(found)


@pytest.mark.parametrize("how", ["own", pytest.param("genuine", marks=pytest.mark.docker)])
@pytest.mark.parametrize("combination", WITH, ids=str)
def test_an_accelerator_only_adds(combination: render.Combination, how: str) -> None:
    if how == "genuine" and not render.has_plugin():
        pytest.skip("no `docker compose` plugin on this machine")
    model = render.own_model if how == "own" else render.genuine_model
    base, after = model(combination.engine), model(*combination)
    assert taken_away(base, after) == []
    assert after["services"]["engine"]["devices"]
    assert all(mount["read_only"] for mount in after["services"]["engine"]["volumes"])


def change(service: str, key: str, value: Any) -> Callable[[Model], None]:
    def changing(model: Model) -> None:
        if value is None:
            del model["services"][service][key]
        else:
            model["services"][service][key] = value

    return changing


@pytest.mark.parametrize(
    ("changing", "found"),
    [
        (change("engine", "read_only", False), ["engine.read_only"]),
        (change("engine", "cap_drop", None), ["engine.cap_drop"]),
        (change("engine", "cap_add", ["PERFMON"]), ["engine.cap_add"]),
        (change("engine", "user", "0:0"), ["engine.user"]),
        (change("engine", "privileged", True), ["engine.privileged"]),
        (change("engine", "image", "other"), ["engine.image"]),
        (change("gateway", "devices", ["/dev/kfd"]), ["gateway.devices"]),
        (change("engine", "volumes", []), ["engine.volumes"]),
        (lambda model: model["services"]["engine"]["environment"].update(OLLAMA_NO_CLOUD="0"), ["engine.environment.OLLAMA_NO_CLOUD"]),
        (lambda model: model["services"].update(npu={"image": "x"}), ["npu.image"]),
        (lambda model: model["networks"].update(out={}), ["networks"]),
    ],
)  # fmt: skip
def test_what_is_taken_away_is_noticed(changing: Callable[[Model], None], found: list[str]) -> None:
    base = render.own_model("ollama")
    broken = copy.deepcopy(base)
    changing(broken)
    assert taken_away(base, broken) == found
