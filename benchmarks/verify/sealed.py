"""How long does a start take that accepts a sealed store, beside one that reads it: on a kernel of Debian's in QEMU, and here.

`python -m benchmarks.verify.sealed [--megabytes N]`, as root

The machine in QEMU computes each instruction, so it is slower than this one by far: there the ratio counts, and that accepting does not
grow with the store. How long it takes on a processor is measured here, with the same program: where this kernel has no fs-verity its two
calls are played (`PLAYED`), and all else is the program's own: its start, lock, names, owners, small files, verdict, metrics, bound store.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
from pathlib import Path

from benchmarks.verify import stores
from benchmarks.verify.__main__ import PYTHON, VERIFY, verifier
from tests.models.sealed import machine
from tests.models.sealed.by_hand import lay
from tests.models.sealed.packages import brought

# Stands in for the kernel's answers: each file has a tree, and it is always the same one.
PLAYED = """
import importlib.util, os, sys
spec = importlib.util.spec_from_file_location("verify", sys.argv.pop(1))
verify = sys.modules["verify"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(verify)
verify.seal = lambda file: None
verify.measured = lambda file: format(os.fstat(file).st_ino, "064x")
sys.exit(verify.main())
"""
TIMES = """
import subprocess, sys, time
for _ in range(9):
    start = time.monotonic()
    done = subprocess.run(sys.argv[1:], check=True, capture_output=True, text=True)
    print(time.monotonic() - start, done.stdout, end="")
"""


def here(store: Path) -> list[tuple[float, int]]:
    """Seconds of nine accepting starts, each with the bytes that it read."""
    words = verifier(store)
    program = [PYTHON, "-I", "-B", "-c", PLAYED, str(VERIFY), *words[words.index(str(VERIFY)) + 1 :]]
    script = 'mkdir -p "$0" && "$@" bind >&2 && exec python3 -c "$TIMES" "$@" recheck --json'
    command = ["unshare", "--mount", "--propagation", "private", "env", f"TIMES={TIMES}", "sh", "-c", script]
    done = subprocess.run(
        [*command, str(store.with_suffix(".target")), *program], capture_output=True, text=True, check=True
    )
    lines = [line.partition(" ") for line in done.stdout.splitlines()]
    return [(float(seconds), json.loads(report)["bytes"]) for seconds, _, report in lines]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=500)
    size = parser.parse_args().megabytes * 1_000_000
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        stores.lay(folder / "store", size, 4)
        starts = here(folder / "store")
        seconds = [one for one, _ in starts]
        print(f"here, {size / 1e6:.0f} MB in four files, the kernel's two answers played, the whole program:")
        print(f"  accepted unread {statistics.median(seconds):7.3f} s ({min(seconds):.3f} to {max(seconds):.3f})")
        print(f"  bytes read      {max(read for _, read in starts)}")
        (folder / "content").mkdir()
        found = machine.answer(brought(folder), folder, lay(folder / "content", size), "times")
    held, read = found["held"], found["read"]
    print(f"Linux {found['kernel']}, {size / 1e6:.0f} MB, best of three, the whole program:")
    print(f"  accepted unread {held:7.3f} s\n  all read        {read:7.3f} s\n  ratio           {read / held:7.1f}")


if __name__ == "__main__":
    main()
