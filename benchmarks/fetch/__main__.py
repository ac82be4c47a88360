"""How fast is a file fetched and hashed, against `curl` that only writes it: the genuine docker-registry on the loopback, in turn.

`python -m benchmarks.fetch [--megabytes N] [--rounds N] [--folder DIR]`

Figures of one machine under its load of the moment: only ratios within a round are worth something. Server, client and the disk's cache
share its cores.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.verify import stores
from benchmarks.verify.measure import run
from citadelle.models.lock import ModelsLock
from tests.models.genuine import push, serving

NAME = "weights0:latest"


def main() -> None:
    """Measure and print."""
    options = _options()
    with tempfile.TemporaryDirectory(dir=options.folder or "/var/tmp") as name:
        folder, size = Path(name), options.megabytes * 1_000_000
        store = folder / "source"
        stores.lay(store, size, 1)
        (folder / "registry").mkdir()
        with serving(folder / "registry") as url:
            push(url, store, NAME)
            weights = ModelsLock.read(store.with_suffix(".json")).models[0].weights.digest
            rounds = [_round(folder, url, weights, size) for _ in range(options.rounds + 1)][1:]  # the first one warms
    for key in rounds[0]:
        values = [one[key] for one in rounds]
        print(f"{key:26} {statistics.median(values):9.3f} ({min(values):.3f} to {max(values):.3f})")


def _round(folder: Path, url: str, weights: str, size: int) -> dict[str, float]:
    target = folder / "curl"
    words = ["curl", "--silent", "--fail", "--output", str(target), f"{url}/v2/library/weights0/blobs/{weights}"]
    curl = run(words)
    target.unlink()
    synced = run(["sh", "-c", '"$@" && sync "$0"', str(target), *words])
    target.unlink()
    # The least that any program can take that hashes too: curl and OpenSSL, each on a core of its own as far as there are any.
    hashed = run(
        ["sh", "-c", '"$@" | tee "$0" | openssl dgst -sha256 && sync "$0"', str(target), *words[:3], words[-1]]
    )
    target.unlink()
    command = [sys.executable, "-m", "citadelle.cli", "models", "fetch", "--store", str(folder / "store")]
    ours = run([*command, "--lock", str(folder / "source.json"), "--registry", url])
    shutil.rmtree(folder / "store")
    empty = run([sys.executable, "-m", "citadelle.cli", "models", "list", "--lock", str(folder / "source.json")])
    return {
        "curl GB/s": size / curl.wall / 1e9,
        "fetch GB/s": size / ours.wall / 1e9,
        "of curl": curl.wall / ours.wall,
        "of curl, its file synced": synced.wall / ours.wall,
        "of curl and openssl, synced": hashed.wall / ours.wall,
        "of curl, start not counted": curl.wall / (ours.wall - empty.wall),
        "curl cpu s": curl.cpu,
        "curl and openssl cpu s": hashed.cpu,
        "fetch cpu s": ours.cpu,
        "fetch MB": ours.memory,
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where files are laid (default /var/tmp)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
