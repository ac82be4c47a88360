"""The stack's Compose files as one model: by the genuine `docker compose config`, or by a small reading of our own for the fast tier.

Ours knows only what our files use: required variables, files merged, one level of relative paths. A test compares the two.
"""

import copy
import json
import os
import re
import shutil
import subprocess
from functools import cache
from itertools import chain, combinations
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from dotenv import dotenv_values

from citadelle.accelerator.variants import VARIANTS

COMPOSE = Path(__file__).resolve().parents[2] / "compose"
STACK_ENV = Path(__file__).with_name("stack.env")
ENGINES = ("ollama", "llamacpp")
JOBS = {"ingest", "embedder"}  # run once, in a project of their own
NEEDS = {"dashboards": {"tls", "observability"}}  # what the settings refuse such a file without
LISTS = {"volumes", "devices", "group_add", "ports"}  # of which Compose takes the entries of both files


class Combination(NamedTuple):
    """An engine, an accelerator that it can use, and further files, "tls", "observability", or several joined by "+"; "" is none."""

    engine: str
    accelerator: str = ""
    further: str = ""

    def __str__(self) -> str:
        return "-".join(part for part in self if part)


COMBINATIONS = [
    *map(Combination, ENGINES),
    *(Combination(engine, further="tls") for engine in ENGINES),
    Combination("ollama", further="observability"),
    Combination("ollama", further="tls+observability+dashboards"),
    *sorted(Combination(engine, variant.overlay) for variant in VARIANTS.values() for engine in variant.images),
]
# The combinations without an accelerator are rendered by the genuine program in the fast tier too, the others with Docker's own tests.
GENUINE = [
    pytest.param(one, marks=[pytest.mark.docker] if one.accelerator else [], id=str(one)) for one in COMBINATIONS
]


def further() -> list[str]:
    """The files that are wanted or not, those that need others last. Found, not listed: a new one is in every combination at once."""
    names = {path.stem for path in COMPOSE.glob("*.yaml")} - {"compose", *JOBS}
    found = [name for name in names if not name.startswith(("engine.", "accelerator."))]
    return sorted(found, key=lambda name: (len(NEEDS.get(name, ())), name))


def every() -> list[Combination]:
    """All that hosts can be made to run: each engine, with each accelerator that it can use or none, with any of the further files."""
    names = further()
    chosen = chain.from_iterable(combinations(names, count) for count in range(len(names) + 1))
    sound = ["+".join(some) for some in chosen if all(NEEDS.get(name, set()) <= set(some) for name in some)]
    beside = {engine: [one.accelerator for one in COMBINATIONS if one.engine == engine] for engine in ENGINES}
    return [
        Combination(engine, *rest)
        for engine in ENGINES
        for accelerator in dict.fromkeys(["", *beside[engine]])
        for rest in ((accelerator, some) for some in sound)
    ]


def files(engine: str, accelerator: str = "", further: str = "") -> list[Path]:
    """The Compose files of one combination."""
    names = [
        f"engine.{engine}",
        *([f"accelerator.{accelerator}"] if accelerator else []),
        *(further.split("+") if further else []),
    ]
    return [COMPOSE / "compose.yaml", *(COMPOSE / f"{name}.yaml" for name in names)]


@cache
def has_plugin() -> bool:
    """Whether `docker compose` is here; its `config` needs no daemon."""
    return shutil.which("docker") is not None and _run("version").returncode == 0


def genuine(combination: Combination, *options: str, env_file: Path = STACK_ENV) -> subprocess.CompletedProcess[str]:
    """`docker compose config` of one combination."""
    names = [part for path in files(*combination) for part in ("-f", str(path))]
    return _run("--env-file", str(env_file), *names, "config", *options)


def genuine_model(engine: str, accelerator: str = "", further: str = "") -> dict[str, Any]:
    """The model as Docker Compose renders it."""
    done = genuine(Combination(engine, accelerator, further), "--format", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def own_model(engine: str, accelerator: str = "", further: str = "") -> dict[str, Any]:
    """The model as read here."""
    model: dict[str, Any] = {}
    for path in files(engine, accelerator, further):
        model = _merge(model, _read(path))
    return copy.deepcopy({key: value for key, value in model.items() if not key.startswith("x-")})


@cache
def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(interpolate(path.read_text("utf-8")))
    for service in found["services"].values():
        for mount in service.get("volumes", []):
            if mount["source"].startswith("."):
                mount["source"] = os.path.normpath(COMPOSE / mount["source"])
    return found


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    return subprocess.run(
        ["docker", "compose", *arguments], capture_output=True, text=True, env=environment, timeout=60, check=False
    )


def interpolate(text: str) -> str:
    """Put the values of `stack.env` in the place of required variables."""
    values = dotenv_values(STACK_ENV)
    text = re.sub(r"(?<!\$)\$\{(\w+):\?\}", lambda match: values[match[1]] or "", text)
    return text.replace("$$", "$")


def _merge(base: Any, over: Any) -> Any:
    if isinstance(base, dict) and isinstance(over, dict):
        return {key: _merged(key, base, over) for key in base | over}
    return over


def _merged(key: str, base: dict[str, Any], over: dict[str, Any]) -> Any:
    if key in LISTS and key in base and key in over and isinstance(base[key], list):
        return [*base[key], *over[key]]
    return _merge(base.get(key), over[key]) if key in over else base[key]
