"""Controls of a host: judged from one look, told line by line, and set where that is safe and can be undone."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Collection, Generator, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Literal

import click
from pyinfra import host, logger
from pyinfra.api import QuoteString, StringCommand, operation
from pyinfra.api.command import PyinfraCommand

from citadelle import powershell
from citadelle.facts.hardening import LOOK, Hardening, LinuxHardening
from citadelle.hardening.judge import Verdict, judge
from citadelle.hardening.state import State
from citadelle.hardening.table import Control, Table
from citadelle.hardening.waivers import Waiver
from citadelle.operations.files import File, present
from citadelle.operations.rollback import Guarded, guarded

APPLY = files("citadelle.hardening").joinpath("apply.ps1").read_text("utf-8")
LINUX_APPLY, SAVE, UNDO = (
    files("citadelle.hardening").joinpath(f"{name}.sh").read_text("utf-8") for name in ("apply", "save", "undo")
)
# What can cut the line to a Linux host.
LINE, FIREWALL = ("sshd", "firewall"), "citadelle-firewall"
HINT = "cure what is said, or waive the control in policies/waivers.yaml; then run again"
SEEN = "hardening.seen"
Language = Literal["en", "fr"]
# Kind of a change -> the script's name for what it names.
KINDS = {
    "registry": "registry",
    "service": "services",
    "audit": "audits",
    "account": "accounts",
    "defender": "defenders",
    "rule": "rules",
}
COLOURS = {"critical": "red", "high": "red", "medium": "yellow", "low": "yellow"}


@dataclass(frozen=True)
class Change:
    """One setting, as Windows has it. `kind`: registry, service, audit, account; of Defender: defender, rule."""

    control: str
    kind: str
    target: str
    value: bool | int | str


def look(table: Table, more: Sequence[str] = ()) -> State:
    """The state of this host that the table needs, of a Windows PC with `more` values of its registry; one script."""
    if str(host.name).startswith("@windows/"):
        return look_at_windows([*table.registry_values, *more])
    return host.get_fact(LinuxHardening, names=table.names)


def look_at_windows(values: Sequence[str]) -> State:
    """The state of this PC with at least these values of its registry; one look for all roles of a run that ask for no more."""
    asked, seen = host.connector_data.get(SEEN, (set(), None))
    if seen is None or not asked.issuperset(values):
        seen = host.get_fact(Hardening, values=list(values))
        host.connector_data[SEEN] = (set(values), seen)
    return seen


def verdicts(state: State, table: Table, waivers: list[Waiver], today: date) -> list[Verdict]:
    """The verdict on every control of this host."""
    return judge(state, table, waivers, host=str(host.name), groups=list(host.groups), today=today)


def refusals(found: Sequence[Verdict]) -> list[tuple[str, str]]:
    """What stands against any change on this PC, each with its cure."""
    return [
        (f"{verdict.control.id} {verdict.told()}", verdict.control.refuses)
        for verdict in found
        if verdict.control.refuses and verdict.deviates
    ]


def changes(found: Sequence[Verdict], state: State) -> list[Change]:
    """What can be set by itself among what is wrong, without the line. What is waived or unknown is left alone.

    So is the policy of accounts on a joined PC, since its domain would set it back, and the login of root where there is no other.
    """
    joined = bool((state.sections.get("computer") or {}).get("PartOfDomain"))
    root = (state.sections.get("platform") or {}).get("login") == "root"
    left = {"account": joined, "permitrootlogin": root}
    return [
        _change(control, state)
        for control in (verdict.control for verdict in found if verdict.status == "fail")
        if control.apply is not None
        and not control.is_line
        and not left.get(control.judge.kind)
        and not left.get(control.judge.target)
    ]


def _change(control: Control, state: State) -> Change:
    kind, name = control.judge.switch or ("", "")
    if kind == "defender" and name.startswith("Disable"):
        return Change(control.id, kind, name, not control.apply)  # what is read as being on is set as not being off
    return Change(control.id, kind, name, _value(control.apply or 0, name, state))


def _value(wanted: bool | int | str, target: str, state: State) -> bool | int | str:
    """What to set. Windows refuses a whole policy by which accounts are locked for a shorter time than failures count."""
    if target != "LockoutDuration":
        return wanted
    counted = state.sections["security_policy"]["account"].get("ResetLockoutCount")
    return max(int(wanted), counted) if isinstance(counted, int) else wanted


def tell(found: Sequence[Verdict], planned: Collection[str], language: Language) -> None:
    """One line for each control that deviates: id, title, found, wanted. `planned`: ids of those that this run sets."""
    for verdict in found:
        if verdict.deviates:
            line = verdict.line(str(host.name), language) + (
                ", this run sets it" if verdict.control.id in planned else ""
            )
            logger.warning(click.style(line, fg=COLOURS[verdict.control.severity]))


def save(state: State, folder: Path) -> None:
    """Write the raw state as `<PC>.json`, for `citadelle audit`: whole or not at all, for its owner alone. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (str(host.name).rpartition("/")[2] + ".json")
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(json.dumps(state.raw, indent=1) + "\n")
    fresh.replace(path)


@operation()
def settings(changes: list[Change]) -> Generator[PyinfraCommand, None, None]:
    """Set what is wrong, in one script, and read it again. A setting that the PC does not keep fails the host, with its control's id.

    + changes: from `changes()`; empty where everything is right.
    """
    if not changes:
        host.noop("every control that is set by itself is right")
        return
    yield StringCommand(script(changes, str(host.name)))


def script(changes: Sequence[Change], pc: str) -> str:
    """The PowerShell that sets all of them; what it has to say of one begins with `pc`."""
    values: dict[str, list[bool | int | str]] = {}
    for kind, name in KINDS.items():
        mine = [change for change in changes if change.kind == kind]
        values |= {f"{kind}_ids": [change.control for change in mine], name: [change.target for change in mine]}
        values |= {f"{kind}_values": [change.value for change in mine]}
    return powershell.assign(pc=pc, **values) + APPLY


@operation()
def controls(  # noqa: PLR0917  each by name
    table: Table,
    waivers: list[Waiver],
    changes: list[Change],
    seen: bool,
    placed: list[File],
    after: str,
    seconds: int,
    language: Language = "en",
) -> Generator[PyinfraCommand, None, None]:
    """Set what is wrong on a Linux host, in one script, and read it again. A setting that is not kept fails the host, by its control's id.

    What can cut the line, the SSH server and the firewall, is set behind a timed rollback, and kept only where a fresh login gets in.
    What is set is decided anew when it comes to it: earlier operations of the same run may have made the distribution, or its Docker.

    + table: policies/linux.yaml; waivers: accepted deviations.
    + changes: from `changes()`; empty where everything is right.
    + seen: whether the host could be looked at when that was decided; a WSL distribution that this run makes could not.
    + placed, after: files that settings need, and the command when one has changed, as of `files.present`.
    + seconds: after which the host goes back by itself where a change of its line is not confirmed.
    + language: of the titles that are told.
    """
    fresh = False
    for command in present._inner(files=placed, after=after) if placed else ():
        fresh = True
        yield command
    planned = _decided_anew(table, waivers, seen, language) if changes or fresh or not seen else []
    line = [change for change in planned if change.kind in LINE or change.target == FIREWALL]
    if safe := [change for change in planned if change not in line]:
        yield StringCommand(f"{LOOK}\n{LINUX_APPLY}\napply", *map(QuoteString, _words(safe)))
    if line:
        words = " ".join(map(shlex.quote, _words(line)))
        # A guarded change ends at whatever fails; this script goes on, and tells all that failed at its end.
        change = f"set +eu\n{LOOK}\n{LINUX_APPLY}\napply {words}"
        yield from guarded(Guarded(change, undo=UNDO, save=SAVE), seconds, "a change of SSH server and firewall", HINT)
    if not planned:
        host.noop("every control that is set by itself is right")


def _words(changes: Sequence[Change]) -> list[str]:
    return [str(host.name), *(str(word) for one in changes for word in (one.control, one.kind, one.target, one.value))]


def _decided_anew(table: Table, waivers: list[Waiver], seen: bool, language: Language) -> list[Change]:
    """What is wrong now, packages first: other settings may need them."""
    state = host.get_fact(LinuxHardening, names=table.names)
    found = verdicts(state, table, waivers, date.today()) if state.raw else []
    planned = sorted(changes(found, state), key=lambda change: change.kind != "package")
    if not seen:
        tell(found, {change.control for change in planned}, language)
    return planned
