"""Places: how many are asked at once, who waits, who is sent away; for a key, for all, and for strangers."""

import asyncio
import json
from pathlib import Path

from .conftest import KEY, Run, Stack, change_policy, digest, limited

OTHER = "ck_" + "o" * 43


def test_one_more_waits_its_turn_and_the_next_is_sent_away(run: Run, policies: Path) -> None:
    change_policy(policies, "limits", in_flight=1, queue=1)

    async def scenario(stack: Stack) -> None:
        first = asyncio.create_task(stack.ask(stream=True))
        while not stack.engine.requests:
            await asyncio.sleep(0.01)
        others = {asyncio.create_task(stack.ask(name)) for name in ("second", "third")}
        sent_away, waiting = await asyncio.wait(others, return_when=asyncio.FIRST_COMPLETED)
        [(status, headers, body)] = [task.result() for task in sent_away]
        assert (status, body["error"]["code"], headers["Retry-After"]) == (503, "busy", "5")
        assert (len(waiting), len(stack.engine.requests)) == (1, 1)
        stack.engine.mode = "answer"
        while not first.done():
            stack.engine.more.set()
            await asyncio.sleep(0.01)
        assert [(await first)[0], (await waiting.pop())[0], len(stack.engine.requests)] == [200, 200, 2]

    run(scenario, mode="stepwise")


def test_who_waits_too_long_is_sent_away_and_the_place_is_free(run: Run, policies: Path) -> None:
    change_policy(policies, "limits", in_flight=1, queue=1, queue_seconds=1)

    async def scenario(stack: Stack) -> None:
        first = asyncio.create_task(stack.ask())
        while not stack.engine.requests:
            await asyncio.sleep(0.01)
        for _ in range(2):
            assert (await stack.ask("second"))[2]["error"]["code"] == "busy"
        first.cancel()
        await asyncio.wait_for(stack.engine.gone.wait(), 5)
        stack.engine.mode = "answer"
        assert (await stack.ask("third"))[0] == 200
        assert len(stack.engine.requests) == 2

    run(scenario, mode="hang")


def test_one_key_does_not_take_the_places_of_another(run: Run) -> None:
    async def scenario(stack: Stack) -> None:
        entries = [
            {"id": name, "hmac": digest(one), "limits": {"concurrency": 1}} for name, one in (("a", KEY), ("b", OTHER))
        ]
        stack.keys_file.write_text(json.dumps({"keys": entries}))
        first = asyncio.create_task(stack.ask())
        while not stack.engine.requests:
            await asyncio.sleep(0.01)
        assert (await stack.ask())[2]["error"]["code"] == "too_many_at_once"
        stack.engine.mode = "answer"
        assert (await stack.ask(key=OTHER))[0] == 200
        first.cancel()

    run(scenario, mode="hang")


def test_the_place_is_free_once_the_answer_is_there(run: Run) -> None:
    async def scenario(stack: Stack) -> None:
        limited(stack, concurrency=1)
        assert [(await stack.ask(stream=bool(turn % 2)))[0] for turn in range(40)] == [200] * 40

    run(scenario)


def test_strangers_are_bounded_and_holders_are_not_touched(run: Run, policies: Path) -> None:
    change_policy(policies, "limits", strangers_minute=3)

    async def scenario(stack: Stack) -> None:
        assert [(await stack.ask(key="ck_wrong"))[0] for _ in range(5)] == [401, 401, 401, 429, 429]
        assert (await stack.ask(key=None))[1]["Retry-After"]
        assert (await stack.ask())[0] == 200

    run(scenario)
