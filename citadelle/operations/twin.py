"""A Windows PC is two hosts: what the WSL side must know of the Windows side."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra import host, state
from pyinfra.api import operation
from pyinfra.api.command import PyinfraCommand

from citadelle.operations.refusal import refusal


@operation()
def windows_side() -> Generator[PyinfraCommand, None, None]:
    """Stop this WSL host when `@windows/<the same PC>` has failed in this run: a half-hardened PC must not serve.

    For the Windows host itself there is nothing to do: it takes part so that the other one comes after it.
    """
    pc = host.name.partition("/")[2].partition("/")[0]
    twin = f"@windows/{pc}"
    if twin in {str(other.name) for other in state.failed_hosts}:
        yield refusal(f"its Windows side has failed: {twin}", f"cure what is said of {twin}, then run again")
    else:
        host.noop("the Windows side is right")
