"""What a Windows PC must be."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra import host
from pyinfra.api import operation
from pyinfra.api.command import PyinfraCommand

from citadelle.facts.windows import Windows
from citadelle.operations.refusal import refusal

WSL = r"C:\Program Files\WSL\wsl.exe"


@operation()
def supported(problems: list[tuple[str, str]]) -> Generator[PyinfraCommand, None, None]:
    """Refuse a PC that cannot become a host, with everything that stands against it.

    + problems: what is wrong and its cure, of each control without which nothing is changed; from `hardening.refusals()`.
    """
    state = host.get_fact(Windows)
    if not state.wsl:
        cure = "wsl --install --no-distribution in an administrator's console, then restart the PC"
        problems = [*problems, (f"WSL is not installed: {WSL}", cure)]
    if problems:
        told = "; ".join(what for what, _ in problems)
        yield refusal(f"this PC cannot become a host: {told}", "; ".join(cure for _, cure in problems))
    else:
        host.noop(f"Windows {state.edition} {state.display} build {state.build}.{state.revision} is supported")
