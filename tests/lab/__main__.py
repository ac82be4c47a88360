"""The lab's command line: `bin/lab [up|status|down|shell]`."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from tests.lab.commands import LabError
from tests.lab.state import Pc


def parser() -> argparse.ArgumentParser:
    """Without a command it is `up`."""
    top = argparse.ArgumentParser(prog="bin/lab", description="Lab PCs on this machine, from nothing to an answer.")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    up = commands.add_parser("up", help="prepare everything, roll out, ask one question (default)")
    for target in (top, up):
        default = "ollama" if target is top else argparse.SUPPRESS
        target.add_argument(
            "--engine", choices=("ollama", "llamacpp"), default=default, help="what serves the model (%(default)s)"
        )
    commands.add_parser("status", help="PCs, addresses, what runs")
    down = commands.add_parser("down", help="remove the PCs, their network and volumes: what carries the lab's label")
    down.add_argument("--images", action="store_true", help="also the images and the bundle made from them")
    shell = commands.add_parser("shell", help="a root shell in a PC")
    shell.add_argument("pc", metavar="PC")
    return top


def shell(pc: str) -> int:
    """Interactive on a terminal; commands from standard input elsewhere."""
    terminal = ["--tty"] if sys.stdin is not None and sys.stdin.isatty() else []
    return subprocess.call(
        ["docker", "exec", "--interactive", *terminal, Pc(pc, "linux", "").container, "/bin/bash", "-l"]
    )


def main(argv: list[str] | None = None) -> int:
    """Exit code: 0 done, 1 something is not right, 2 wrong usage."""
    asked = parser().parse_args(argv)
    if asked.command == "status":
        from tests.lab.status import status

        return status()
    if asked.command == "shell":
        return shell(asked.pc)
    from tests.lab import up

    return up.down(images=asked.images) if asked.command == "down" else up.up(asked.engine)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LabError as problem:
        print(f"lab: {problem}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        # Threads may wait for commands that got the same signal: leave at once, the next run picks up.
        print("\nlab: interrupted; run bin/lab again to go on", file=sys.stderr)
        os._exit(130)
