"""What could compute on a host: processors for graphics and for neural networks, their device files and their memory."""

from __future__ import annotations

from pathlib import Path

from pyinfra.api import QuoteString, StringCommand

from citadelle.accelerator.hardware import Hardware, parse
from citadelle.facts.base import Fact

SCRIPT = Path(__file__).with_name("accelerator.sh").read_text()


class AcceleratorHardware(Fact[Hardware]):
    """All of it in one round trip. A host that does not exist yet has nothing, and `seen` is False.

    + root: folder to take for the root of the host.
    """

    default = Hardware

    def command(self, root: str = "") -> StringCommand:
        return StringCommand("ROOT=", QuoteString(root), f"\n{SCRIPT}", _separator="")

    def parse(self, output: list[str]) -> Hardware:
        return parse(output)
