"""Nobody gets in without a key in force."""

import json
import os
from pathlib import Path

import pytest
from gateway.keys import KeyRing

from .conftest import KEY, MODEL, Run, Stack, write_keys

OTHER = "ck_" + "o" * 43


@pytest.mark.parametrize("key", [None, "", " ", "wrong", KEY + "x", KEY[:-1], KEY.upper(), "\u00e9"])
@pytest.mark.parametrize("path", ["/v1/models", "/v1/chat/completions", "/", "/nothing", "/api/tags"])
def test_without_a_valid_key_everything_is_401(run: Run, key: str | None, path: str) -> None:
    async def scenario(stack: Stack) -> None:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        for method in ("GET", "POST"):
            async with stack.client.request(method, stack.url + path, headers=headers) as response:
                error = (await response.json())["error"]
                assert (response.status, error["code"], error["type"]) == (401, "invalid_key", "authentication_error")
                assert response.headers["WWW-Authenticate"] == "Bearer"
        assert stack.engine.requests == []

    run(scenario)


@pytest.mark.parametrize(
    "headers",
    [
        [("Authorization", f"Basic {KEY}")],
        [("Authorization", KEY)],
        [("Authorization", f"Bearer{KEY}")],
        [("Authorization", f"Bearer {KEY}, Bearer {KEY}")],
        [("Authorization", f"Bearer {KEY}"), ("Authorization", f"Bearer {KEY}")],
        [("Authorization", "Bearer x"), ("Authorization", f"Bearer {KEY}")],
        [("X-Api-Key", KEY)],
        [("Cookie", f"authorization=Bearer {KEY}")],
        [("X-Forwarded-For", "127.0.0.1"), ("X-Original-URL", "/healthz")],
    ],
)
def test_only_one_bearer_header_counts(run: Run, headers: list[tuple[str, str]]) -> None:
    async def scenario(stack: Stack) -> None:
        async with stack.client.get(f"{stack.url}/v1/models?key={KEY}&api_key={KEY}", headers=headers) as response:
            assert response.status == 401

    run(scenario)


def test_bearer_is_case_insensitive_and_the_key_works(run: Run) -> None:
    async def scenario(stack: Stack) -> None:
        for scheme in ("Bearer", "bearer", "BEARER"):
            headers = {"Authorization": f"{scheme} {KEY}"}
            async with stack.client.get(f"{stack.url}/v1/models", headers=headers) as response:
                assert response.status == 200
                assert [model["id"] for model in (await response.json())["data"]] == [MODEL]

    run(scenario)


def test_key_file_is_read_again_when_it_changes(run: Run) -> None:
    async def scenario(stack: Stack) -> None:
        assert (await stack.ask())[0] == 200
        write_keys(stack.keys_file, OTHER)
        assert (await stack.ask())[0] == 401
        assert (await stack.ask(key=OTHER))[0] == 200

    run(scenario)


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"keys": [{"id": "a"}]}', '{"keys": [], "more": 1}', '{"keys": [{"id": "a", "sha256": "x"}]}'],
)
def test_a_broken_file_closes_the_door(tmp_path: Path, content: str) -> None:
    path = tmp_path / "keys.json"
    write_keys(path, KEY)
    ring = KeyRing(path)
    bearer = f"Bearer {KEY}".encode()
    assert ring.holder(bearer) == "user0"
    path.write_text(content)
    assert ring.holder(bearer) is None
    path.unlink()
    assert (ring.holder(bearer), len(ring)) == (None, 0)
    write_keys(path, OTHER, KEY)
    assert ring.holder(bearer) == "user1"


def test_an_id_that_occurs_twice_closes_the_door(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    write_keys(path, KEY)
    entry = json.loads(path.read_text())["keys"][0]
    path.write_text(json.dumps({"keys": [entry, entry | {"sha256": "0" * 64}]}))
    assert KeyRing(path).holder(f"Bearer {KEY}".encode()) is None


def test_a_change_of_the_same_size_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    write_keys(path, KEY)
    ring = KeyRing(path)
    assert len(ring) == 1
    before = path.stat()
    write_keys(path, OTHER)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert ring.holder(f"Bearer {KEY}".encode()) is None


def test_an_empty_token_is_nobody(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": [{"id": "zero", "sha256": "0" * 64}]}))
    ring = KeyRing(path)
    assert [ring.holder(value) for value in (None, b"", b"Bearer ", b"Bearer", b"Basic x")] == [None] * 5
