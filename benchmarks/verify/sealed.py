"""How long does a start take that accepts a sealed store, beside one that reads it: on a kernel of Debian's in QEMU.

`python -m benchmarks.verify.sealed [--megabytes N]`

The machine in QEMU computes each instruction, so it is slower than this one by far: the ratio counts, and that accepting does not grow
with the store.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.models.sealed import machine
from tests.models.sealed.by_hand import lay
from tests.models.sealed.packages import brought


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=500)
    size = parser.parse_args().megabytes * 1_000_000
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        (folder / "content").mkdir()
        found = machine.answer(brought(folder), folder, lay(folder / "content", size), "times")
    held, read = found["held"], found["read"]
    print(f"Linux {found['kernel']}, {size / 1e6:.0f} MB, best of three, the whole program:")
    print(f"  accepted unread {held:7.3f} s\n  all read        {read:7.3f} s\n  ratio           {read / held:7.1f}")


if __name__ == "__main__":
    main()
