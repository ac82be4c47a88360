"""The program that keeps the keys, run as a host runs it: what it writes, what it refuses, and that the gateway takes all of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from gateway.keys import KeyRing, RouteName
from gateway.settings import Rates
from hypothesis import given, settings
from hypothesis import strategies as st

from citadelle import keys
from tests.conftest import ROOT

PROGRAM = ROOT / "citadelle/keys.py"


def call(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-B", str(PROGRAM), "--folder", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def said(folder: Path, *arguments: str) -> Any:
    done = call(folder, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout) if done.stdout else None


def held(folder: Path) -> list[dict[str, Any]]:
    return json.loads((folder / "gateway/keys.json").read_text())["keys"]


def holder(folder: Path, key: str) -> str:
    return KeyRing(folder / "gateway/keys.json").find({b"x-api-key": key.encode()}).id


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A host with an operator's key."""
    said(tmp_path / "citadelle", "operator")
    return tmp_path / "citadelle"


def test_the_operators_key_is_made_once_and_works(folder: Path) -> None:
    key = (folder / "operator.key").read_text()
    assert re.fullmatch(r"ck_[A-Za-z0-9_-]{43}\n", key)
    assert holder(folder, key.strip()) == "operator"
    said(folder, "operator")
    assert (folder / "operator.key").read_text() == key
    assert call(folder, "operator", "--check").returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: the files belong to root and the gateway's group")
def test_owners_and_modes(folder: Path) -> None:
    wanted = {
        "operator.key": (0o600, 0),
        "gateway": (0o750, 10002),
        "gateway/keys.json": (0o640, 10002),
        "gateway/pepper": (0o640, 10002),
    }
    for name, (mode, group) in wanted.items():
        state = (folder / name).stat()
        assert (name, state.st_mode & 0o777, state.st_uid, state.st_gid) == (name, mode, 0, group)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "operator.key").chmod(0o644),
        lambda folder: (folder / "operator.key").write_text(""),
        lambda folder: (folder / "operator.key").write_text("ck_another\n"),
        lambda folder: (folder / "operator.key").unlink(),
        lambda folder: (folder / "gateway/keys.json").write_text('{"keys": []}'),
        lambda folder: (folder / "gateway/keys.json").write_text("{"),
        lambda folder: (folder / "gateway/keys.json").unlink(),
        lambda folder: (folder / "gateway/pepper").unlink(),
    ],
    ids=["readable by all", "empty", "another", "absent", "no entry", "broken file", "no file", "no pepper"],
)
def test_what_is_wrong_with_the_operators_key_is_found_and_cured(folder: Path, damage: Any) -> None:
    damage(folder)
    assert call(folder, "operator", "--check").returncode == 1
    said(folder, "operator")
    assert call(folder, "operator", "--check").returncode == 0
    assert holder(folder, (folder / "operator.key").read_text().strip()) == "operator"


def test_the_operators_key_leaves_the_others_alone(folder: Path) -> None:
    key = said(folder, "create", "alice")["key"]
    (folder / "operator.key").unlink()
    said(folder, "operator")
    assert holder(folder, key) == "alice"
    assert [entry["id"] for entry in held(folder)] == ["operator", "alice"]


def test_entries_of_another_kind_of_digest_go(folder: Path) -> None:
    (folder / "gateway/keys.json").write_text('{"keys": [{"id": "operator", "sha256": "00"}]}')
    said(folder, "operator")
    assert [sorted(entry) for entry in held(folder)] == [["created", "hmac", "id"]]


def test_a_key_is_shown_once_and_is_nowhere_else(folder: Path) -> None:
    scope = {
        "expires": "2999-12-31T23:59:59Z",
        "models": ["a:1b"],
        "routes": ["chat"],
        "groups": ["hr"],
        "limits": {"requests_day": 5},
        "rag": True,
    }
    key = said(folder, "create", "alice", json.dumps(scope))["key"]
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) == 4
    assert [path for path in files if key in path.read_text() or key.encode() in path.read_bytes()] == []
    assert holder(folder, key) == "alice"
    [_, shown] = said(folder, "list")["keys"]
    assert shown.pop("created")
    assert shown == {"id": "alice"} | scope


def test_a_revoked_key_stays_known_by_name(folder: Path) -> None:
    key = said(folder, "create", "alice")["key"]
    said(folder, "revoke", "alice")
    first = said(folder, "list")["keys"][1]["revoked"]
    said(folder, "revoke", "alice")
    assert said(folder, "list")["keys"][1]["revoked"] == first
    assert holder(folder, key) == "alice"
    done = call(folder, "create", "alice")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("key id is taken: alice\nhint: ")


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("create", "Alice"), "not a key id: Alice"), (("create", "a b"), "not a key id: a b"), (("create", "a\n"), "not a key id: a\n"),
        (("create", "operator"), "key id is taken: operator"),
        (("create", "a", '{"admin": true}'), "unknown scope: admin"),
        (("create", "a", '{"rag": "yes"}'), "not a choice for rag: yes"),
        (("create", "a", '{"routes": ["admin"]}'), "not a name for routes: admin"),
        (("create", "a", '{"models": []}'), "not a name for models: none"),
        (("create", "a", '{"models": ["a b"]}'), "not a name for models: a b"),
        (("create", "a", '{"groups": ["HR"]}'), "not a name for groups: HR"),
        (("create", "a", '{"limits": {"requests_minute": 0}}'), "not a limit: requests_minute=0"),
        (("create", "a", '{"limits": {"requests_minute": true}}'), "not a limit: requests_minute=True"),
        (("create", "a", '{"limits": {"more": 1}}'), "not a limit: more=1"),
        (("create", "a", '{"expires": "2020-01-01T00:00:00Z"}'), "key would be expired: 2020-01-01T00:00:00Z"),
        (("create", "a", '{"expires": "tomorrow"}'), "not a time: tomorrow"),
        (("revoke", "nobody"), "no such key: nobody"), (("revoke", "operator"), "the operator's key is replaced, not revoked"),
    ],
)  # fmt: skip
def test_what_is_refused_changes_nothing(folder: Path, arguments: tuple[str, ...], what: str) -> None:
    before = held(folder)
    done = call(folder, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"{what}\nhint: ")
    assert held(folder) == before


def test_a_lost_pepper_is_not_replaced_in_silence(folder: Path) -> None:
    (folder / "gateway/pepper").unlink()
    assert call(folder, "create", "alice").stderr.startswith(f"pepper is absent: {folder}/gateway/pepper\nhint: ")


def test_two_at_once_lose_no_key(folder: Path) -> None:
    command = [sys.executable, "-I", "-B", str(PROGRAM), "--folder", str(folder), "create"]
    running = [subprocess.Popen([*command, f"k{number}"], stdout=subprocess.DEVNULL) for number in range(6)]
    assert [process.wait(60) for process in running] == [0] * 6
    assert {entry["id"] for entry in held(folder)} == {"operator", *(f"k{number}" for number in range(6))}


def test_the_names_are_those_of_the_gateway() -> None:
    assert set(keys.LIMITS) == set(Rates.model_fields)
    assert set(keys.ROUTES) == set(RouteName.__args__)


LABEL = st.from_regex(keys.ID, fullmatch=True)
SCOPE = st.fixed_dictionaries(
    {},
    optional={
        "expires": st.sampled_from(["2999-12-31T23:59:59Z", "9999-01-01T00:00:00Z"]),
        "models": st.lists(st.from_regex(keys._LISTS["models"], fullmatch=True), min_size=1, max_size=3),
        "routes": st.lists(st.sampled_from(keys.ROUTES), min_size=1, max_size=3),
        "groups": st.lists(st.from_regex(keys._LISTS["groups"], fullmatch=True), min_size=1, max_size=3),
        "limits": st.dictionaries(st.sampled_from(keys.LIMITS), st.integers(1, (1 << 53) - 1)),
    },
)


@given(LABEL, SCOPE)
@settings(max_examples=60, deadline=None)
def test_the_gateway_takes_what_is_written(
    tmp_path_factory: pytest.TempPathFactory, identity: str, scope: dict[str, Any]
) -> None:
    made = keys.Keys(tmp_path_factory.mktemp("host"))
    with made.alone():
        made.operator()
        key = made.create(f"x{identity[1:]}", scope)
    ring = KeyRing(made.operator_file.with_name("gateway") / "keys.json")
    assert len(ring) == 2
    found = ring.find({b"x-api-key": key.encode()})
    assert (set(found.models or ()), set(found.groups)) == (set(scope.get("models", ())), set(scope.get("groups", ())))
