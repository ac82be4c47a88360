"""What a further file does to the stack: it adds what is its own, and takes nothing of anybody's confinement away."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from . import render

WITH = [combination for combination in render.COMBINATIONS if combination.accelerator]
KINDS = ("services", "networks", "volumes")
# By file, what it may add to a service that is there without it; an accelerator's file is `accelerator`.
ADDS: dict[str, dict[str, set[str]]] = {
    "accelerator": {"engine": {"devices", "group_add", "environment", "ulimits", "volumes"}},
    "dashboards": {"tls": {"ports"}},
}
Model = dict[str, Any]


def left_out(whole: render.Combination) -> Iterator[tuple[str, render.Combination]]:
    """Each further file of a combination that no other of it needs, and the combination without it."""
    names = whole.further.split("+") if whole.further else []
    if whole.accelerator:
        yield "accelerator", whole._replace(accelerator="")
    for name in names:
        if not any(name in render.NEEDS.get(other, ()) for other in names):
            yield name, whole._replace(further="+".join(other for other in names if other != name))


def taken_away(base: Model, after: Model, part: str = "accelerator") -> list[str]:
    """What of `base` is no longer so, and what came that this file has no business with; an accelerator's brings nothing of its own."""
    found = [key for key in (base.keys() | after.keys()) - set(KINDS) if base.get(key) != after.get(key)]
    for kind in KINDS:
        before, now = base.get(kind) or {}, after.get(kind) or {}
        found += [f"{kind}.{name}" for name in before if name not in now]
        found += [f"{kind}.{name}" for name in now if name not in before and part == "accelerator"]
        free = ADDS.get(part, {}) if kind == "services" else {}
        for name in before.keys() & now.keys():
            found += [f"{name}.{key}" for key in _lost(before[name] or {}, now[name] or {}, free.get(name, set()))]
    return sorted(found)


def _lost(before: Model, now: Model, free: set[str]) -> Iterator[str]:
    """Keys that differ, and of those that are free, entries that are no longer there."""
    for key in before.keys() | now.keys():
        had, has = before.get(key), now.get(key)
        if (key not in free and had != has) or (had is not None and type(had) is not type(has)):
            yield key
        elif isinstance(had, dict):
            yield from (f"{key}.{name}" for name in had if has.get(name) != had[name])
        elif isinstance(had, list) and any(entry not in has for entry in had):
            yield key


def wrong_ones() -> dict[str, list[str]]:
    """What is taken away, by combination and file: all that hosts can be made to run."""
    pairs = [(whole, part, rest) for whole in render.every() for part, rest in left_out(whole)]
    said = {
        f"{whole}: {part}": taken_away(render.own_model(*rest), render.own_model(*whole), part)
        for whole, part, rest in pairs
    }
    assert len(said) > 50
    return {name: found for name, found in said.items() if found}


def test_no_file_takes_anything_away_in_any_combination() -> None:
    assert wrong_ones() == {}


@pytest.mark.docker
@pytest.mark.skipif(not render.has_plugin(), reason="no `docker compose` plugin on this machine")
@pytest.mark.parametrize("engine", render.ENGINES)
def test_nor_as_docker_compose_reads_it(engine: str) -> None:
    """Each accelerator beside all the other files."""
    base = render.genuine_model(engine, further="+".join(render.further()))
    for combination in (one for one in WITH if one.engine == engine):
        after = render.genuine_model(*combination._replace(further="+".join(render.further())))
        assert taken_away(base, after) == [], combination
        assert after["services"]["engine"]["devices"]
        assert all(mount["read_only"] for mount in after["services"]["engine"]["volumes"])


def test_every_line_that_is_taken_away_is_noticed() -> None:
    """Of every service, in the fullest combination: the line gone, another in its place, and one that was not there."""
    [*_, whole] = render.every()
    base = render.own_model(*whole)
    changes = [
        (name, key, value)
        for name, service in base["services"].items()
        for key in [*service, "cap_add", "privileged", "pid", "extra_hosts"]
        for value in (None, "other", {}, [])
        if key in service or value
    ]
    assert len(changes) > 500
    for name, key, value in changes:
        broken = {**base, "services": {**base["services"], name: {**base["services"][name], key: value}}}
        found = taken_away(base, broken)
        assert found, (name, key, value)
        assert all(one.startswith(f"{name}.{key}") for one in found)


@pytest.mark.parametrize(
    ("changing", "found"),
    [
        (lambda model: model["services"]["engine"]["environment"].update(OLLAMA_NO_CLOUD="0"), ["engine.environment.OLLAMA_NO_CLOUD"]),
        (lambda model: model["services"]["engine"]["volumes"].pop(), ["engine.volumes"]),
        (lambda model: model["services"].update(npu={"image": "x"}), ["services.npu"]),
        (lambda model: model["services"].pop("rag"), ["services.rag"]),
        (lambda model: model["networks"].update(out={}), ["networks.out"]),
        (lambda model: model["networks"]["engine"].update(internal=False), ["engine.internal"]),
        (lambda model: model.update(secrets={}), ["secrets"]),
    ],
)  # fmt: skip
def test_what_is_taken_away_is_noticed(changing: Callable[[Model], object], found: list[str]) -> None:
    base = render.own_model("ollama")
    broken = copy.deepcopy(base)
    changing(broken)
    assert taken_away(base, broken) == found


def test_a_new_file_is_judged_without_being_named_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in render.COMPOSE.glob("*.yaml"):
        shutil.copy(path, tmp_path)
    before = len(render.every())
    (tmp_path / "tracing.yaml").write_text("services: {gateway: {read_only: false, cap_drop: [], networks: [edge]}}\n")
    monkeypatch.setattr(render, "COMPOSE", tmp_path)
    found = wrong_ones()
    assert (len(render.every()), len(found)) == (2 * before, before)
    assert {name.rpartition(": ")[2] for name in found} == {"tracing"}
    assert {tuple(lost) for lost in found.values()} == {("gateway.cap_drop", "gateway.networks", "gateway.read_only")}
