"""The engine's stand-in asked directly, through the gateway, and through the gateway with its audit: one run, in turn.

`python -m benchmarks.gateway [--rounds N]`

Figures of one machine under its load of the moment: compare within a run, not between runs. Times are of the client, in
milliseconds; CPU is that of the process measured, in microseconds for each request.
"""

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from citadelle.keys import Keys

ROOT = Path(__file__).resolve().parents[2]
BODY = {"model": "m", "messages": [{"role": "user", "content": "What is the capital of France?"}]}
ONE_BY_ONE, TOGETHER, STREAMS, AT_ONCE, WARM = 300, 600, 40, 8, 50
TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class Way:
    """One way to the engine, and what was measured on it."""

    name: str
    url: str
    pid: int
    key: str
    figures: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, value: float) -> None:
        self.figures.setdefault(name, []).append(value)

    @property
    def cpu(self) -> float:
        """Seconds of processor time of the process so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    @property
    def memory(self) -> float:
        """Resident memory in MB."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@contextlib.contextmanager
def started(*command: str, **environment: str) -> Iterator[int]:
    """A process, ended afterwards; its id."""
    env = {"PATH": os.environ["PATH"]} | environment
    with subprocess.Popen([sys.executable, *command], env=env, stderr=subprocess.DEVNULL) as process:
        try:
            yield process.pid
        finally:
            process.terminate()


async def listening(url: str) -> None:
    """Until the address takes connections, at most 30 seconds."""
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
                writer.close()
                return
            await asyncio.sleep(0.05)


async def ask(client: aiohttp.ClientSession, way: Way, stream: bool) -> tuple[float, float]:
    """Seconds to the first byte and to the last of one answer; anything but an answer is an error."""
    start = time.perf_counter()
    async with client.post(
        f"{way.url}/v1/chat/completions", json=BODY | {"stream": stream}, headers={"x-api-key": way.key}
    ) as got:
        first = await got.content.readany()
        took = time.perf_counter() - start
        rest = await got.content.read()
    if got.status != 200 or b"choices" not in first + rest:
        raise RuntimeError(f"{way.name}: {got.status}: {(first + rest)[:200]!r}")
    return took, time.perf_counter() - start


async def measure(client: aiohttp.ClientSession, way: Way) -> None:
    """One round: answers one after the other, then many at once, then streams."""
    before = way.cpu
    alone = sorted([(await ask(client, way, False))[1] for _ in range(ONE_BY_ONE)])
    way.add("alone_p50_ms", alone[len(alone) // 2] * 1000)
    way.add("alone_p99_ms", alone[len(alone) * 99 // 100] * 1000)
    way.add("cpu_us", (way.cpu - before) / ONE_BY_ONE * 1e6)
    start = time.perf_counter()
    await asyncio.gather(*(in_turn(client, way, TOGETHER // AT_ONCE) for _ in range(AT_ONCE)))
    way.add("requests_s", TOGETHER / (time.perf_counter() - start))
    firsts = sorted([(await ask(client, way, True))[0] for _ in range(STREAMS)])
    way.add("ttft_p50_ms", firsts[len(firsts) // 2] * 1000)
    way.add("memory_mb", way.memory)


async def in_turn(client: aiohttp.ClientSession, way: Way, count: int) -> None:
    for _ in range(count):
        await ask(client, way, False)


async def run(ways: list[Way], rounds: int) -> None:
    """All ways in turn, `rounds` times, after a warm-up."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=AT_ONCE)) as client:
        for way in ways:
            await listening(way.url)
            await in_turn(client, way, WARM)
        for number in range(rounds):
            for way in ways[number % len(ways) :] + ways[: number % len(ways)]:
                await measure(client, way)


def policy(folder: Path) -> Path:
    """The shipped policy without limits on requests: they are not what is measured."""
    shutil.copytree(ROOT / "policies", folder / "policies")
    path = folder / "policies/gateway.yaml"
    lines = path.read_text("utf-8").splitlines()
    kept = [line for line in lines if not line.startswith(("  requests_", "  tokens_"))]
    path.write_text("\n".join(kept).replace("ceiling:", "ceiling: {}") + "\n", "utf-8")
    return path


def prepared(folder: Path, stack: contextlib.ExitStack) -> list[Way]:
    """Every process started."""
    keys = Keys(folder / "host")
    with keys.alone():
        keys.operator()
    key, policies = keys.operator_file.read_text().strip(), policy(folder)
    (folder / "log").mkdir()
    audit = str(folder / "audit.sock")
    stack.enter_context(
        started(
            str(ROOT / "citadelle/audit_receiver.py"),
            "--socket",
            audit,
            "--log",
            str(folder / "log"),
            "--key",
            str(folder / "key"),
        )
    )
    place = port()
    uvicorn = ("-m", "uvicorn", "--port", str(place), "--log-level", "error", "benchmarks.gateway.engine:app")
    engine = f"http://127.0.0.1:{place}"
    ways = [Way("direct", engine, stack.enter_context(started(*uvicorn, PYTHONPATH=str(ROOT))), key)]
    for name, more in (("gateway", {}), ("audited", {"GATEWAY_AUDIT_SOCKET": audit})):
        place = port()
        environment = {
            "PYTHONPATH": str(ROOT / "compose/gateway"), "GATEWAY_ENGINE_URL": engine, "GATEWAY_CHAT_MODEL": "m",
            "GATEWAY_HOST": "127.0.0.1", "GATEWAY_PORT": str(place),
            "GATEWAY_POLICY_FILE": str(policies), "GATEWAY_KEYS_FILE": str(folder / "host/gateway/keys.json"),
        }  # fmt: skip
        pid = stack.enter_context(started("-m", "gateway", **environment | more))
        ways.append(Way(name, f"http://127.0.0.1:{place}", pid, key))
    return ways


def main() -> None:
    """Measure and print: medians of the rounds, and each way's ratio to `direct` and `gateway`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gateway-benchmark-") as folder, contextlib.ExitStack() as stack:
        ways = prepared(Path(folder), stack)
        asyncio.run(run(ways, arguments.rounds))
    rows = {
        way.name: {name: round(statistics.median(values), 3) for name, values in way.figures.items()} for way in ways
    }
    added = {name: round(row["alone_p50_ms"] - rows["direct"]["alone_p50_ms"], 3) for name, row in rows.items()}
    speed = {name: round(row["requests_s"] / rows["gateway"]["requests_s"], 2) for name, row in rows.items()}
    print(
        json.dumps(
            {"medians": rows, "added_p50_ms": added, "requests_s_to_gateway": speed, "rounds": arguments.rounds},
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
