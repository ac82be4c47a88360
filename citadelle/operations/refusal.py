"""How an operation refuses: one clear message for this host, its operation fails, every other host goes on."""

from __future__ import annotations

import click
from pyinfra import logger
from pyinfra.api import FunctionCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State


def refusal(what: str, hint: str) -> FunctionCommand:
    """The command that fails this host with `<host>: <what>` and `hint: <hint>`; yield it instead of raising.

    pyinfra lets only a failing command stop one host: an exception inside an operation would stop all of them.
    """
    return FunctionCommand(_refuse, (what, hint), {})


def _refuse(state: State, host: Host, what: str, hint: str) -> bool:
    logger.error(click.style(f"{host.name}: {what}\nhint: {hint}", fg="red"))
    return False
