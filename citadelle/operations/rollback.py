"""A change that can cut the line to its own host: made behind a timed rollback, kept only where a fresh connection gets in.

The host arms the rollback, then makes the change by itself, outside of the session that asked for it. When it is done, this controller
logs in anew and takes the rollback away. Where that does not come, because nobody gets in any more, the controller was killed, or the
host restarted in between, the host goes back to its former state by its own clock.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Generator
from dataclasses import dataclass
from importlib.resources import files

import click
from pyinfra import host as this_host
from pyinfra import logger
from pyinfra.api import FunctionCommand, StringCommand
from pyinfra.api.command import PyinfraCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State

from citadelle import powershell
from citadelle.operations.refusal import attempt

_SOURCES = files("citadelle.operations")
ANSWER_SECONDS = 60
LONGEST_PAUSE = 15.0
UNDONE = "going back failed"


@dataclass(frozen=True)
class Guarded:
    """One change in the language of its host, PowerShell or sh. Every part sees `$folder`, which is its own and empty.

    `check` fails before anything is changed; `save` keeps the former state in the folder; `change` makes the change; `undo` puts the
    former state back, also after half a change, and twice.
    """

    change: str
    undo: str
    save: str = ":"
    check: str = ":"


def guarded(parts: Guarded, seconds: int, what: str, hint: str) -> Generator[PyinfraCommand, None, None]:
    """The commands of a guarded change. `seconds`: after which the host goes back; `what`, `hint`: what a person hears of a cut line."""
    refused = f"{what} was refused before anything was changed"
    arm = _arm(parts, seconds, f"{this_host.name}: {refused}", hint)
    yield StringCommand(arm) if _is_windows(this_host) else attempt(arm, refused, hint)
    yield FunctionCommand(confirm, (seconds, what, hint), {})


def _is_windows(host: Host) -> bool:
    return str(host.name).startswith("@windows/")


def _source(name: str) -> str:
    return _SOURCES.joinpath(name).read_text("utf-8")


def _arm(parts: Guarded, seconds: int, refused: str, hint: str) -> str:
    texts = {"check": parts.check, "save": parts.save, "change": parts.change, "undo": parts.undo}
    if _is_windows(this_host):
        texts = {name: "" if text == ":" else text for name, text in texts.items()}
        values = powershell.assign(
            **texts, run=_source("rollback_run.ps1"), seconds=seconds, refused=refused, hint=hint
        )
        return values + _source("rollback.ps1")
    texts |= {"run": _source("rollback_run.sh"), "seconds": str(seconds)}
    values = "".join(f"{name}={shlex.quote(text)}\n" for name, text in texts.items())
    # A shell of its own: on the left of `||`, as `attempt` puts it, `set -e` would mean nothing.
    return f"sh -c {shlex.quote(values + _source('rollback.sh'))}"


def _ask(host: Host, keep: bool) -> str:
    """What the host says of its change, over a connection that was opened for this question. Raises OSError."""
    if _is_windows(host):
        script = powershell.assign(keep=keep) + _source("rollback_ask.ps1")
    else:
        script = f"keep={'yes' if keep else ''}\n" + _source("rollback_ask.sh")
    result = host.connector.stranger(script, ANSWER_SECONDS)
    said = (result.stdout if result.code == 0 else result.stderr).decode(errors="replace").strip()
    if result.code:
        raise OSError(said or f"exit code {result.code}")
    return str(said)


def confirm(state: State, host: Host, seconds: int, what: str, hint: str) -> bool:
    """Log in anew until the host says how its change has ended; keep it only then. False fails this host alone."""
    said, why = _await(host, seconds)
    if said == "kept":
        return True
    if said.startswith("failed: "):
        return _told(host, f"{what} was refused, and the host is as before: {said.removeprefix('failed: ')}", hint)
    if said == "gone":
        return _told(host, f"{what} cut the line, and the host has gone back by itself: {_short(why)}", hint)
    return _told(
        host,
        f"{what} cut the line, and the host has not come back after {2 * seconds} s: {_short(why)}",
        "docs/line.md says how to get in",
    )


def _await(host: Host, seconds: int) -> tuple[str, str]:
    """How it ended (`kept`, `gone`, `failed: ...`; empty when nobody could tell), and the last reason why nobody got in."""
    end, pause, why, is_done = time.monotonic() + 2 * seconds + ANSWER_SECONDS, 1.0, "", False
    silence = 0.0
    while (asked := time.monotonic()) < end:
        try:
            said = _ask(host, keep=is_done)
        except OSError as error:
            said, why = "", str(error)  # empty where no answer came in time
        # A question that was on its way when the line was cut may also be answered once the line is back.
        silence = max(silence, time.monotonic() - asked)
        if UNDONE in said:
            why = said  # the host tries again
        elif said in ("kept", "gone") or said.startswith("failed: "):
            return said, why or f"no answer for {silence:.0f} s"
        if said == "done" and not is_done:
            is_done = True
            continue  # that connection may be older than the change: the next one is not
        time.sleep(pause)
        # A server that counts failed logins shuts out who fails too often.
        pause = min(pause * 2, seconds / 4, LONGEST_PAUSE)
    return "", why or f"no answer for {silence:.0f} s"


def _short(why: str) -> str:
    return why.partition("\nhint: ")[0]


def _told(host: Host, what: str, hint: str) -> bool:
    logger.error(click.style(f"{host.name}: {what}\nhint: {hint}", fg="red"))
    return False


def pending(armed: bool, begun: bool, seconds: int) -> str:
    """Why a host takes no other change now; empty where it does. `seconds`: until its rollback is due."""
    if not armed or not begun:
        return ""
    if seconds > -120:
        return f"a change of its line waits for its confirmation, and goes back by itself in {max(seconds, 0)} s"
    return f"a change of its line should have gone back by itself {-seconds} s ago"
