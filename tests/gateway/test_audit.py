"""One record for each request, without content; and without a receiver that writes, nothing is asked of the engine."""

import asyncio
import json
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import KEY, MODEL, Run, Stack, change_policy, digest, write_keys
from .double import USAGE
from .receiver import Receiver, receiving
from .test_budgets import start_and_leave
from .test_routes import head, raw

CANARY = f"canary{secrets.token_hex(8)}"


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    with receiving(tmp_path / "audit") as running:
        yield running


async def recorded(receiver: Receiver, count: int) -> list[dict]:
    """The records, once there are `count`: they are delivered on the side."""
    while len(found := receiver.records()) < count:
        await asyncio.sleep(0.01)
    return found


def test_every_request_has_one_record_with_its_metadata(run: Run, receiver: Receiver) -> None:
    async def scenario(stack: Stack) -> None:
        write_keys(stack.keys_file, KEY, groups=["hr", "all"])
        assert (await stack.ask(CANARY))[0] == 200
        assert (await stack.ask(CANARY, stream=True))[0] == 200
        assert (await stack.ask(CANARY, key=CANARY))[0] == 401
        assert (await stack.ask(CANARY, model=CANARY))[0] == 404
        assert (await stack.post(CANARY))[0] == 400
        assert (await raw(stack.port, head("GET", f"/{CANARY}")))[0] == 404
        assert (await raw(stack.port, head("GET", "/v1/models")))[0] == 200
        assert (await raw(stack.port, head("GET", "/healthz")))[0] == 200
        found = await recorded(receiver, 7)
        name = receiver.name_of("user0")
        assert [(record["status"], record["code"], record["route"], record["key"]) for record in found] == [
            (200, None, "POST /v1/chat/completions", name), (200, None, "POST /v1/chat/completions", name),
            (401, "invalid_key", "none", None), (404, "model_not_found", "POST /v1/chat/completions", name),
            (400, "invalid_json", "POST /v1/chat/completions", name), (404, "unknown_route", "none", name),
            (200, None, "GET /v1/models", name),
        ]  # fmt: skip
        whole, streamed = found[:2]
        assert (whole["prompt_tokens"], whole["completion_tokens"], whole["counted"]) == (
            USAGE["prompt_tokens"],
            USAGE["completion_tokens"],
            1,
        )
        assert (streamed["stream"], streamed["model"], streamed["groups"], streamed["cancelled"]) == (
            True,
            MODEL,
            ["hr", "all"],
            False,
        )
        assert 0 <= streamed["ttft_ms"] <= streamed["ms"]
        assert len({record["id"] for record in found}) == 7
        assert {(len(record["policy"]), len(record["prompt"])) for record in found} == {(64, 64)}

    run(scenario, audit_socket=receiver.socket)
    receiver.stop()
    assert receiver.verify().stdout.startswith("8 records intact: 1 of ")
    for file in receiver.folder.rglob("*"):
        assert not file.is_file() or not {CANARY.encode(), KEY.encode()} & {
            name for name in (CANARY.encode(), KEY.encode()) if name in file.read_bytes()
        }


def test_a_client_that_leaves_is_recorded_as_such(run: Run, receiver: Receiver) -> None:
    async def scenario(stack: Stack) -> None:
        await start_and_leave(stack, stream=True, until=b"more ")
        [record] = await recorded(receiver, 1)
        assert (record["status"], record["code"], record["cancelled"]) == (499, "client_gone", True)
        assert record["completion_tokens"] > 0

    run(scenario, mode="endless", audit_socket=receiver.socket)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_without_a_receiver_there_is_no_inference_and_nothing_is_lost(
    run: Run, receiver: Receiver, number: int
) -> None:
    async def scenario(stack: Stack) -> None:
        assert (await stack.ask())[0] == 200
        await recorded(receiver, 1)
        receiver.stop(number)
        for stream in (True, False):
            status, headers, body = await stack.ask(stream=stream)
            assert (status, body["error"]["code"], headers["Retry-After"]) == (503, "audit_unavailable", "5")
        assert (await stack.ask(key="ck_wrong"))[0] == 401
        async with stack.client.get(f"{stack.url}/healthz") as response:
            assert response.status == 503
        assert len(stack.engine.requests) == 1
        receiver.start()
        assert (await stack.ask())[0] == 200
        found = await recorded(receiver, 5)
        assert sorted(record["status"] for record in found) == [200, 200, 401, 503, 503]
        assert len(receiver.records("start")) == 2

    run(scenario, audit_socket=receiver.socket)
    receiver.stop()
    assert receiver.verify().returncode == 0


def test_an_answer_under_way_while_the_receiver_is_replaced_is_recorded_once(run: Run, receiver: Receiver) -> None:
    async def scenario(stack: Stack) -> None:
        asking = asyncio.create_task(stack.ask(stream=True))
        while not stack.engine.requests:
            await asyncio.sleep(0.01)
        receiver.stop()
        receiver.start()
        while not asking.done():
            stack.engine.more.set()
            await asyncio.sleep(0.01)
        assert (await asking)[0] == 200
        [record] = await recorded(receiver, 1)
        assert (record["status"], record["code"]) == (200, None)

    run(scenario, mode="stepwise", audit_socket=receiver.socket)


def test_a_gateway_that_dies_leaves_its_open_requests_on_record(tmp_path: Path, receiver: Receiver) -> None:
    async def scenario() -> None:
        reader, writer = await asyncio.open_unix_connection(str(receiver.socket))
        for identity in ("a", "b"):
            writer.write(json.dumps({"op": "open", "record": {"id": identity, "key": "alice"}}).encode() + b"\n")
        writer.write(b'{"op":"close","record":{"id":"a","status":200}}\n')
        writer.write(b'{"op":"open","record":{"id":"a","key":"alice"}}\n')  # late: it is closed already
        for _ in range(4):
            await reader.readline()
        writer.close()
        found = await recorded(receiver, 2)
        assert [(record["id"], record.get("code")) for record in found] == [("a", None), ("b", "gateway_lost")]

    asyncio.run(asyncio.wait_for(scenario(), 20))


def test_counters_survive_a_restart(run: Run, receiver: Receiver) -> None:
    limits = {"requests_day": 3, "tokens_out_day": 3 * USAGE["completion_tokens"] + 512}

    async def before(stack: Stack) -> None:
        write_keys(stack.keys_file, KEY, limits=limits)
        assert [(await stack.ask())[0] for _ in range(2)] == [200, 200]
        await recorded(receiver, 2)

    async def after(stack: Stack) -> None:
        write_keys(stack.keys_file, KEY, limits=limits)
        assert [(await stack.ask())[0] for _ in range(2)] == [200, 429]

    run(before, audit_socket=receiver.socket)
    run(after, audit_socket=receiver.socket)


def test_counters_are_restored_too_when_the_keys_come_late(run: Run, receiver: Receiver) -> None:
    """The file of keys is broken when the gateway starts, and what it refuses meanwhile is on record."""

    async def before(stack: Stack) -> None:
        write_keys(stack.keys_file, KEY, limits={"requests_day": 3})
        assert [(await stack.ask())[0] for _ in range(2)] == [200, 200]
        await recorded(receiver, 2)

    async def after(stack: Stack) -> None:
        stack.keys_file.write_text("{")
        assert (await stack.ask())[0] in {401, 503}
        await recorded(receiver, 3)
        write_keys(stack.keys_file, KEY, limits={"requests_day": 3})
        assert [(await stack.ask())[0] for _ in range(2)] == [200, 429]

    run(before, audit_socket=receiver.socket)
    run(after, audit_socket=receiver.socket)


def test_strangers_beyond_the_limit_are_counted_not_recorded(run: Run, receiver: Receiver, policies: Path) -> None:
    change_policy(policies, "limits", strangers_minute=2)

    async def scenario(stack: Stack) -> None:
        assert [(await stack.ask(key="ck_wrong"))[0] for _ in range(5)] == [401, 401, 429, 429, 429]
        assert (await stack.ask())[0] == 200
        found = await recorded(receiver, 3)
        assert [(record["status"], record["unrecorded"]) for record in found] == [(401, 0), (401, 0), (200, 3)]

    run(scenario, audit_socket=receiver.socket)


def test_a_stopped_key_is_recorded_by_name(run: Run, receiver: Receiver) -> None:
    async def scenario(stack: Stack) -> None:
        entry = {"id": "alice", "hmac": digest(KEY), "revoked": "2020-01-01T00:00:00Z"}
        stack.keys_file.write_text(json.dumps({"keys": [entry]}))
        assert (await stack.ask())[0] == 401
        [record] = await recorded(receiver, 1)
        assert (record["key"], record["code"]) == (receiver.name_of("alice"), "key_revoked")

    run(scenario, audit_socket=receiver.socket)
