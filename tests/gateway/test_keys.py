"""Nobody gets in without a key in force, and nobody further than the key goes."""

import base64
import contextlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from gateway.errors import Refusal
from gateway.keys import KeyRing

from .conftest import KEY, MODEL, Run, Stack, digest, write_keys

OTHER = "ck_" + "o" * 43


@pytest.mark.parametrize("key", [None, "", " ", "wrong", KEY + "x", KEY[:-1], KEY.upper(), "\u00e9"])
@pytest.mark.parametrize("path", ["/v1/models", "/v1/chat/completions", "/", "/nothing", "/v1"])
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
        [("Authorization", "Basic " + base64.b64encode(KEY.encode()).decode())],
        [("Authorization", f"Digest {KEY}")],
        [("Authorization", KEY)],
        [("Authorization", f"Bearer{KEY}")],
        [("Authorization", f"Bearer {KEY}, Bearer {KEY}")],
        [("Authorization", f"Bearer {KEY}"), ("Authorization", f"Bearer {KEY}")],
        [("Authorization", "Bearer x"), ("Authorization", f"Bearer {KEY}")],
        [("X-Api-Key", f"Bearer {KEY}")],
        [("X-Api-Key", KEY), ("Authorization", f"Bearer {KEY}")],
        [("X-Api-Key", KEY), ("X-Api-Key", KEY)],
        [("X-Api-Key", KEY), ("Authorization", "")],
        [("Cookie", f"authorization=Bearer {KEY}")],
        [("X-Forwarded-For", "127.0.0.1"), ("X-Original-URL", "/healthz")],
    ],
)
def test_one_credential_in_a_known_form_counts_and_nothing_else(run: Run, headers: list[tuple[str, str]]) -> None:
    async def scenario(stack: Stack) -> None:
        async with stack.client.get(f"{stack.url}/v1/models?key={KEY}&api_key={KEY}", headers=headers) as response:
            assert response.status == 401

    run(scenario)


def basic(user: str, key: str = KEY) -> str:
    return "Basic " + base64.b64encode(f"{user}:{key}".encode()).decode()


@pytest.mark.parametrize(
    "header",
    [
        *(("Authorization", f"{scheme} {KEY}") for scheme in ("Bearer", "bearer", "BEARER")),
        *(("Authorization", basic(user)) for user in ("", "me", "user0")),
        ("Authorization", basic("me").replace("Basic", "bASIC")),
        ("X-Api-Key", KEY),
    ],
)
def test_the_forms_of_clients_work_and_reach_no_engine(run: Run, header: tuple[str, str]) -> None:
    async def scenario(stack: Stack) -> None:
        async with stack.client.get(f"{stack.url}/v1/models", headers=[header]) as response:
            assert response.status == 200
            assert [model["id"] for model in (await response.json())["data"]] == [MODEL]
        assert (await stack.ask(key=None))[0] == 401
        body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "hi"}]})
        assert (await stack.post(body, key=None, **dict([header])))[0] == 200
        [sent] = stack.engine.headers
        assert header[0].lower() not in sent
        assert KEY not in str(sent) + str(stack.engine.requests)

    run(scenario)


def test_a_key_in_the_url_is_basic(run: Run) -> None:
    async def scenario(stack: Stack) -> None:
        async with stack.client.get(f"http://me:{KEY}@127.0.0.1:{stack.port}/v1/models") as response:
            assert response.status == 200

    run(scenario)


PAST, FUTURE = "2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("scope", "status", "code"),
    [
        ({"expires": FUTURE}, 200, None),
        ({"expires": PAST}, 401, "key_expired"),
        ({"revoked": PAST}, 401, "key_revoked"),
        ({"revoked": FUTURE}, 401, "key_revoked"),
        ({"revoked": PAST, "expires": FUTURE}, 401, "key_revoked"),
        ({"models": [MODEL]}, 200, None),
        ({"models": ["other:1b"]}, 404, "model_not_found"),
        ({"models": []}, 404, "model_not_found"),
        ({"routes": ["chat"]}, 200, None),
        ({"routes": ["models"]}, 403, "route_not_allowed"),
        ({"routes": []}, 403, "route_not_allowed"),
    ],
)
def test_a_key_is_good_for_its_time_models_and_routes(
    run: Run, scope: dict[str, Any], status: int, code: str | None
) -> None:
    async def scenario(stack: Stack) -> None:
        write_keys(stack.keys_file, KEY, **scope)
        got, _, body = await stack.ask()
        assert (got, body.get("error", {}).get("code")) == (status, code)
        assert len(stack.engine.requests) == (status == 200)

    run(scenario)


def test_a_key_lists_the_models_it_may_use(run: Run) -> None:
    async def scenario(stack: Stack) -> None:
        for models, names in (([MODEL], [MODEL]), (["other:1b"], [])):
            write_keys(stack.keys_file, KEY, models=models)
            async with stack.client.get(f"{stack.url}/v1/models", headers={"X-Api-Key": KEY}) as response:
                assert [model["id"] for model in (await response.json())["data"]] == names

    run(scenario)


def test_key_file_is_read_again_when_it_changes(run: Run) -> None:
    async def scenario(stack: Stack) -> None:
        assert (await stack.ask())[0] == 200
        write_keys(stack.keys_file.with_name("new"), OTHER)
        stack.keys_file.with_name("new").rename(stack.keys_file)  # as the host's program does
        assert (await stack.ask())[0] == 401
        assert (await stack.ask(key=OTHER))[0] == 200

    run(scenario)


BEARER = {b"authorization": f"Bearer {KEY}".encode()}


def holder(ring: KeyRing, headers: Any = BEARER) -> str | None:
    """The id of who brings these headers."""
    with contextlib.suppress(Refusal):
        return ring.find(headers).id
    return None


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A key file with KEY."""
    write_keys(tmp_path / "keys.json", KEY)
    return tmp_path / "keys.json"


HASH = digest(KEY)


@pytest.mark.parametrize(
    "content",
    [
        "", "{", "[]", '{"keys": [{"id": "a"}]}', '{"keys": [], "more": 1}', '{"keys": [{"id": "a", "hmac": "x"}]}',
        f'{{"keys": [{{"id": "a", "hmac": "{HASH}", "limits": {{"requests_minute": 0}}}}]}}',
        f'{{"keys": [{{"id": "a", "hmac": "{HASH}", "routes": ["admin"]}}]}}',
        f'{{"keys": [{{"id": "a", "hmac": "{HASH}", "expires": "2999-01-01T00:00:00"}}]}}',
        f'{{"keys": [{{"id": "a", "hmac": "{HASH}"}}, {{"id": "b", "hmac": "{HASH}"}}]}}',
        f'{{"keys": [{{"id": "a", "hmac": "{HASH}"}}, {{"id": "a", "hmac": "{"0" * 64}"}}]}}',
        f'{{"keys": [{{"id": "a", "sha256": "{HASH}"}}]}}',
    ],
)  # fmt: skip
def test_a_broken_file_closes_the_door(path: Path, content: str) -> None:
    ring = KeyRing(path)
    assert holder(ring) == "user0"
    path.write_text(content)
    assert holder(ring) is None
    path.unlink()
    assert (holder(ring), len(ring)) == (None, 0)
    write_keys(path, OTHER, KEY)
    assert holder(ring) == "user1"


@pytest.mark.parametrize("pepper", [None, "", "xyz", "5f" * 32])
def test_without_its_pepper_no_hash_says_anything(path: Path, pepper: str | None) -> None:
    ring = KeyRing(path)
    assert holder(ring) == "user0"
    path.with_name("pepper").unlink()
    if pepper is not None:
        path.with_name("pepper").write_text(pepper)
    assert holder(ring) is None


def test_only_keys_in_force_are_counted(path: Path) -> None:
    for scope, count in (({}, 1), ({"revoked": PAST}, 0), ({"expires": PAST}, 0), ({"expires": FUTURE}, 1)):
        write_keys(path, KEY, **scope)
        assert len(KeyRing(path)) == count


def test_a_change_of_the_same_size_is_seen(path: Path) -> None:
    ring = KeyRing(path)
    assert len(ring) == 1
    before = path.stat()
    write_keys(path, OTHER)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert holder(ring) is None


def test_an_empty_token_is_nobody(path: Path) -> None:
    write_keys(path, "")
    ring = KeyRing(path)
    values = [b"", b"Bearer ", b"Bearer", b"Basic", b"Basic x", b"Basic Og==", b"Basic e"]
    assert [holder(ring, {b"authorization": value}) for value in values] == [None] * len(values)
    assert holder(ring, {}) is None
    assert holder(ring, {b"x-api-key": b""}) is None
