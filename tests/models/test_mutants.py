"""Thousands of generated stores: no bad one accepted, no good one refused; what is accepted reads the same in the engine's own language."""

from __future__ import annotations

import base64
import copy
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from citadelle.models import verify
from tests.models import mutants
from tests.models.conftest import Store

FAST, ALL, GOOD = 250, 10_000, 1_000


@pytest.fixture
def fresh(store: Store) -> Iterator[Callable[[], Store]]:
    """A good store, each time anew at the same place; in memory where that is there, as thousands of them are laid."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        place = Path(folder) / "store"

        def lay() -> Store:
            shutil.rmtree(place, ignore_errors=True)
            return Store(shutil.copytree(store.path, place), copy.deepcopy(store.lock), store.owner)

        yield lay


def bad_ones_accepted(fresh: Callable[[], Store], seeds: range) -> list[int]:
    accepted = []
    for seed in seeds:
        store = fresh()
        mutants.spoil(store, Random(seed))
        if store.findings() == []:
            accepted.append(seed)
    return accepted


def good_ones_refused(fresh: Callable[[], Store], seeds: range) -> dict[int, list[verify.Finding]]:
    refused = {}
    for seed in seeds:
        store = fresh()
        mutants.vary(store, Random(seed))
        if found := store.findings():
            refused[seed] = found
    return refused


def test_no_generated_bad_store_is_accepted(fresh: Callable[[], Store]) -> None:
    assert bad_ones_accepted(fresh, range(FAST)) == []


def test_no_generated_good_store_is_refused(fresh: Callable[[], Store]) -> None:
    assert good_ones_refused(fresh, range(FAST // 5)) == {}


@pytest.mark.lab  # for its length
@pytest.mark.timeout(1800)
def test_no_bad_store_of_ten_thousand_is_accepted(fresh: Callable[[], Store]) -> None:
    assert bad_ones_accepted(fresh, range(FAST, FAST + ALL)) == []


@pytest.mark.lab
def test_no_good_store_of_a_thousand_is_refused(fresh: Callable[[], Store]) -> None:
    assert good_ones_refused(fresh, range(FAST, FAST + GOOD)) == {}


@pytest.fixture(scope="module")
def go(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The genuine encoding/json, in a program of ours with the engine's structure."""
    compiler = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if compiler is None:
        pytest.skip("no Go compiler on this machine: the genuine decoder is not asked")
    folder = tmp_path_factory.mktemp("go")
    command = [compiler, "build", "-o", str(folder / "decode"), str(Path(__file__).with_name("go") / "main.go")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "decode"


def read_by(go: Path, manifests: list[bytes]) -> list[Any]:
    """Config and layers as the engine sees them; None where it sees none."""
    lines = b"".join(base64.b64encode(raw) + b"\n" for raw in manifests)
    done = subprocess.run([go], input=lines, capture_output=True, check=True, timeout=600)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(manifests)
    return [one and (_entry(one["config"]), tuple(map(_entry, one["layers"] or []))) for one in found]


def _entry(value: dict[str, Any]) -> verify.Entry:
    return verify.Entry(value["mediaType"], value["digest"], value["size"])


def strictly(raw: bytes) -> Any:
    try:
        return verify.read_manifest(raw)
    except verify.Refused:
        return None


@pytest.mark.lab
def test_what_is_accepted_is_what_the_engine_reads(store: Store, go: Path) -> None:
    good = store.manifest().read_bytes()
    bad = [mutants.manifest_mutant(good, Random(seed)) for seed in range(ALL)]
    engine, ours = read_by(go, bad), [strictly(raw) for raw in bad]
    assert [raw for raw, theirs, found in zip(bad, engine, ours, strict=True) if found not in (None, theirs)] == []
    locked = strictly(good)
    assert locked not in ours
    # The suite has teeth: many are something else to the engine, and many of these look right to Python's own parser.
    other = [raw for raw, theirs in zip(bad, engine, strict=True) if theirs not in (None, locked)]
    looks_right = [raw for raw in other if _python_reads(raw) == json.loads(good)]
    assert (len(other) > 2000, len(looks_right) > 100) == (True, True), (len(other), len(looks_right))
    variants = [mutants.relayout(good, Random(seed)) for seed in range(GOOD)]
    assert set(map(strictly, variants)) == set(read_by(go, variants)) == {locked}


def _python_reads(raw: bytes) -> Any:
    """With what Go ignores or folds left out: only the known keys, exactly."""
    try:
        value = json.loads(raw)
        keep = ("schemaVersion", "mediaType", "config", "layers", "digest", "size")
        slim = lambda part: {key: part[key] for key in keep if key in part}  # noqa: E731
        return slim(value) | {"config": slim(value["config"]), "layers": [slim(layer) for layer in value["layers"]]}
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
