"""How an operation fails: one clear message for this host, its operation fails, every other host goes on."""

from __future__ import annotations

import click
from pyinfra import host as this_host
from pyinfra import logger
from pyinfra.api import FunctionCommand, QuoteString, StringCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State


def refusal(what: str, hint: str) -> FunctionCommand:
    """The command that fails this host with `<host>: <what>` and `hint: <hint>`; yield it instead of raising.

    pyinfra lets only a failing command stop one host: an exception inside an operation would stop all of them.
    """
    return FunctionCommand(_refuse, (what, hint), {})


def refusals(problems: list[tuple[str, str]]) -> FunctionCommand:
    """`refusal` of several problems `(what, hint)` at once, each with its own hint."""
    *before, (what, hint) = problems
    lead = "".join(f"{one}\nhint: {cure}\n{this_host.name}: " for one, cure in before)
    return refusal(lead + what, hint)


def attempt(command: str | StringCommand, what: str, hint: str) -> StringCommand:
    """A command whose failure ends with `<host>: <what>` and `hint: <hint>`, after its own words."""
    told = f"{this_host.name}: {what}\nhint: {hint}"
    return StringCommand("{", command, "; } || { printf '%s\\n'", QuoteString(told), ">&2; exit 1; }")


def _refuse(state: State, host: Host, what: str, hint: str) -> bool:
    logger.error(click.style(f"{host.name}: {what}\nhint: {hint}", fg="red"))
    return False
