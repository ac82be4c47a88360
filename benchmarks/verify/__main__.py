"""How fast is a store verified, against what the processor could at best, and against OpenSSF's model-signing: one run, in turn.

`python -m benchmarks.verify [--gigabytes N] [--rounds N] [--folder DIR] [--json FILE]`, as root (it binds a store in a mount namespace).

Figures of one machine under its load of the moment: only ratios within a round are worth something.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.verify import signing, stores
from benchmarks.verify.measure import run

VERIFY = Path(__file__).resolve().parents[2] / "citadelle/models/verify.py"
PYTHON = shutil.which("python3", path="/usr/bin") or sys.executable  # as hosts do: the distribution's own


TIMER = """
import subprocess, sys, time
for _ in range(5):
    start = time.monotonic()
    subprocess.run(sys.argv[1:], check=True)
    print(time.monotonic() - start)
"""


def verifier(store: Path) -> list[str]:
    """The program as hosts run it, on a store of this benchmark."""
    paths = {
        "store": store,
        "lock": store.with_suffix(".json"),
        "select": "/nonexistent",
        "floor": store.with_suffix(".serial"),
    }
    paths |= {name: store.with_suffix(f".{name}") for name in ("target", "metrics")}
    paths["verdict"] = store.with_suffix(".verdict") / "models.json"
    return [PYTHON, "-I", "-B", str(VERIFY), *[f"--{name}={path}" for name, path in paths.items()]]


def limit(cores: int) -> float:
    """GB/s of `openssl speed` with 16 KiB blocks on so many cores: no file, no memory, nothing but SHA-256."""
    command = [
        "openssl",
        "speed",
        "-seconds",
        "3",
        "-bytes",
        "16384",
        *(["-multi", str(cores)] if cores > 1 else []),
        "-evp",
        "sha256",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    [rate] = re.findall(r"^(?:sha256|SHA2?-?256|evp)\s+([\d.]+)k", done.stdout, re.MULTILINE | re.IGNORECASE)
    return float(rate) * 1000 / 1e9


def warm(store: Path) -> None:
    """Have all of it in memory: the disk is not what is measured."""
    with open(os.devnull, "wb") as sink:
        for path in sorted(store.rglob("*")):
            if path.is_file():
                with path.open("rb") as file:
                    shutil.copyfileobj(file, sink, 1 << 20)


def seconds_of_status(store: Path) -> list[float]:
    """An unchanged, bound store looked at without reading: wall time of the whole program, five times."""
    script = f'mkdir -p "{store.with_suffix(".target")}"; {" ".join(verifier(store))} bind >&2 || exit 1; exec "$@"'
    inner = [sys.executable, "-c", TIMER, *verifier(store), "status"]
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", *inner]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [float(line) for line in done.stdout.split()]


def measured(store: Path, size: int, files: int, signer: signing.Signer) -> dict[str, float]:
    """One round: limit, verifier, limit again, the other tool."""
    cores = min(files, os.cpu_count() or 1)
    before = limit(cores)
    warm(store)
    ours = run([*verifier(store), "check", "--json"])
    assert json.loads(ours.out)["ok"], ours.out
    best = (before + limit(cores)) / 2
    found = {
        "limit": best,
        "rate": size / ours.wall / 1e9,
        "cpu": ours.cpu,
        "memory": ours.memory,
        "of_limit": size / ours.wall / 1e9 / best,
    }
    warm(store)
    theirs = signer.verify(store)
    found |= {
        "signing_rate": size / theirs.wall / 1e9,
        "signing_memory": theirs.memory,
        "times_signing": theirs.wall / ours.wall,
    }
    return found


@contextmanager
def folder_for(path: Path | None) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=path or "/var/tmp") as folder:
        yield Path(folder)


def main() -> None:
    """Measure both shapes of store and print a table."""
    options = _options()
    results: dict[str, list[dict[str, float]]] = {}
    with folder_for(options.folder) as folder:
        signer = signing.signer(folder)
        for files in (1, 4):
            store, size = folder / f"store{files}", int(options.gigabytes * 1e9)
            stores.lay(store, size, files)
            signer.sign(store)
            results[f"{files} files"] = [measured(store, size, files, signer) for _ in range(options.rounds)]
            status = seconds_of_status(store)
            results[f"{files} files"][0]["status_seconds"] = statistics.median(status)
            shutil.rmtree(store)
    for name, rounds in results.items():
        print(f"{name} of {options.gigabytes} GB in all, {len(rounds)} rounds: median (least to most)")
        for key in rounds[0]:
            values = [one[key] for one in rounds if key in one]
            print(f"  {key:16} {statistics.median(values):9.3f} ({min(values):.3f} to {max(values):.3f})")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the store is laid (default /var/tmp)")
    parser.add_argument("--json", type=Path, help="write every round to this file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
