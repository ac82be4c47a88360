"""What the gateway costs, beside nginx without any logic and LiteLLM, in one run: `python -m benchmarks.gateway`.

Prints JSON: medians over the rounds, for each way. See README.md.
"""

import argparse
import contextlib
import json
import statistics
import sys
import sysconfig
import tempfile
import time
import urllib.request
from collections import defaultdict
from pathlib import Path

import uvloop

from benchmarks.gateway.load import cancelled, one_by_one, request, together
from benchmarks.gateway.ways import Way, ways

LINES, STREAMS, CANCELS = 16, 32, 200
SLOW = {"litellm": 10}  # asked so many times less: it takes long
Figures = dict[str, float]


def alone(way: Way, count: int) -> Figures:
    """One request after the other."""
    before, took = way.cpu, one_by_one(way.port, request(way.key), count)
    cpu = (way.cpu - before) / count
    return {"alone_p50_ms": took[count // 2], "alone_p99_ms": took[count * 99 // 100], "alone_cpu_us": cpu}


def busy(way: Way, count: int) -> Figures:
    """Many at once: what a core can do."""
    before, start = way.cpu, time.perf_counter()
    uvloop.run(together(way.port, request(way.key), LINES, count // LINES))
    took, cpu = time.perf_counter() - start, way.cpu - before
    asked = count // LINES * LINES
    return {"busy_cpu_us": cpu / asked, "busy_requests_s": asked / took, "busy_cores": cpu / 1e6 / took}


def streaming(way: Way, seconds: float) -> Figures:
    """32 streams of 100 tokens a second."""
    asked = request(way.key, stream=True, max_tokens=int(seconds * 100), seed=10)
    before, start = way.cpu, time.perf_counter()
    lines = uvloop.run(together(way.port, asked, STREAMS, 1))
    took = time.perf_counter() - start
    return {
        "streams_core_percent": (way.cpu - before) / 1e4 / took,
        "streams_pieces": sum(line.pieces for line in lines) / STREAMS,
    }


def leaving(way: Way, engine: Way) -> Figures:
    """200 streams that their clients leave: what is still open two seconds later, at the engine and in the process."""
    asked = request(way.key, stream=True, max_tokens=2000, seed=10)
    uvloop.run(together(way.port, request(way.key), LINES, 2))
    time.sleep(2)
    before = way.sockets
    uvloop.run(cancelled(way.port, asked, CANCELS))
    time.sleep(2)
    with urllib.request.urlopen(f"http://127.0.0.1:{engine.port}/open") as answer:
        streams = int(answer.read())
    return {"left_streams": streams, "left_sockets": max(0, way.sockets - before)}


def measured(found: list[Way], rounds: int, count: int, seconds: float) -> dict[str, Figures]:
    """All ways in turn, after a warm-up; medians."""
    rows: dict[str, dict[str, list[float]]] = {way.name: defaultdict(list) for way in found}
    for way in found:
        alone(way, 200)
    for number in range(rounds):
        for way in found[number % len(found) :] + found[: number % len(found)]:
            size = count // SLOW.get(way.name, 1)
            for figures in (alone(way, size // 2), busy(way, size), streaming(way, seconds)):
                for name, value in figures.items():
                    rows[way.name][name].append(value)
    medians = {way: {name: statistics.median(values) for name, values in row.items()} for way, row in rows.items()}
    for row in medians.values():
        row["added_p50_ms"] = row["alone_p50_ms"] - medians["engine"]["alone_p50_ms"]
        row["added_p99_ms"] = row["alone_p99_ms"] - medians["engine"]["alone_p99_ms"]
    return medians


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=8000, help="in each round, with many at once")
    parser.add_argument("--seconds", type=float, default=4, help="of the streams in each round")
    parser.add_argument("--many", type=int, default=100_000, help="requests after which memory is looked at")
    parser.add_argument("--python", default=sys.executable, help="interpreter of the gateway: the images' is 3.14")
    parser.add_argument(
        "--packages", default=sysconfig.get_path("purelib"), help="folder with packages for that interpreter"
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gateway-benchmark-") as folder, contextlib.ExitStack() as stack:
        found = ways(Path(folder), stack, given.python, given.packages)
        rows = measured(found, given.rounds, given.requests, given.seconds)
        for way in found[1:]:
            if way.name != "bare":  # nobody has told it to look after clients that leave
                rows[way.name] |= leaving(way, found[0])
            many = given.many // SLOW.get(way.name, 1)
            busy(way, many)
            rows[way.name] |= {"memory_mb": way.memory, "memory_after": many}
    print(
        json.dumps({way: {name: round(value, 3) for name, value in row.items()} for way, row in rows.items()}, indent=1)
    )


if __name__ == "__main__":
    main()
