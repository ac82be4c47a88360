"""Requests that are none never make the gateway fail, never reach the engine in a form of their own, and never stop it from serving."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest
import yaml

from .conftest import Run, Stack
from .malformed import wrong
from .test_attacks import check
from .test_server import resident

AT_ONCE = 48


def without_limits(policies: Path) -> None:
    """Counting is not what is tested: a 503 of a ceiling would look like a failure."""
    path = policies / "gateway.yaml"
    policy = yaml.safe_load(path.read_text("utf-8"))
    policy |= {"per_key": {}, "ceiling": {}}
    policy["limits"] |= {"in_flight": 64, "queue": 64, "strangers_minute": 10**6, "head_seconds": 1, "body_seconds": 1}
    path.write_text(yaml.safe_dump(policy, allow_unicode=True), "utf-8")


async def status_of(port: int, request: bytes) -> int:
    """What the first answer says; 0 for a connection that was just closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        answer = await asyncio.wait_for(reader.read(4096), 30)  # one that ends too early is cut after a second
        answer = answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n") or await asyncio.wait_for(reader.read(4096), 30)
    except OSError:
        return 0
    finally:
        writer.close()
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.") else 0


async def all_of(stack: Stack, first: int, last: int) -> dict[int, int]:
    """Statuses and how often; each one below 500."""
    numbers, counts = iter(range(first, last)), dict.fromkeys(range(0), 0)

    async def worker() -> None:
        for number in numbers:
            status = await status_of(stack.port, wrong(number))
            assert status < 500, (number, status)
            counts[status] = counts.get(status, 0) + 1
            check(stack, number)

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    return counts


def scenario_of(first: int, last: int) -> object:
    async def scenario(stack: Stack) -> None:
        middle = (first + last) // 2
        counts = Counter(await all_of(stack, first, middle))
        before = resident()
        counts.update(await all_of(stack, middle, last))
        assert resident() - before < 10  # megabytes: what was refused leaves nothing
        assert sum(counts.values()) == last - first
        assert {200, 400, 404, 415} <= counts.keys()  # of every kind: it is not one check that refuses them all
        assert counts[400] > counts[200]
        assert (await stack.ask())[0] == 200

    return scenario


def test_malformed_requests(run: Run, policies: Path) -> None:
    without_limits(policies)
    run(scenario_of(0, 600))


@pytest.mark.lab
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("start", range(600, 10_600, 1000))
def test_ten_thousand_malformed_requests(run: Run, policies: Path, start: int) -> None:
    without_limits(policies)
    run(scenario_of(start, start + 1000))
