"""Controls of Windows: judged from one look, told line by line, and set where that is safe and can be undone."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from pathlib import Path

import click
from pyinfra import host, logger
from pyinfra.api import StringCommand, operation
from pyinfra.api.command import PyinfraCommand

from citadelle import powershell
from citadelle.facts.hardening import Hardening
from citadelle.hardening.judge import Verdict, judge
from citadelle.hardening.state import State
from citadelle.hardening.table import Table
from citadelle.hardening.waivers import Waiver

APPLY = files("citadelle.hardening").joinpath("apply.ps1").read_text("utf-8")
COLOURS = {"critical": "red", "high": "red", "medium": "yellow", "low": "yellow"}


@dataclass(frozen=True)
class Change:
    """One setting: `kind` is registry, service, audit or account; `target` and `value` as in the table of controls."""

    control: str
    kind: str
    target: str
    value: int | str


def look(table: Table) -> State:
    """The state of this host that the table needs; one script."""
    return host.get_fact(Hardening, values=table.registry_values)


def verdicts(state: State, table: Table, waivers: list[Waiver], today: date) -> list[Verdict]:
    """The verdict on every control of this host."""
    return judge(state, table, waivers, host=str(host.name), groups=list(host.groups), today=today)


def changes(found: Sequence[Verdict], state: State) -> list[Change]:
    """What can be set by itself among what is wrong. What is waived or unknown is left alone.

    So is the policy of accounts on a joined PC: its domain would set it back.
    """
    joined = bool((state.sections.get("computer") or {}).get("PartOfDomain"))
    return [
        Change(control.id, control.judge.kind, control.judge.target, control.apply)
        for control in (verdict.control for verdict in found if verdict.status == "fail")
        if control.apply is not None and not (joined and control.judge.kind == "account")
    ]


def tell(found: Sequence[Verdict], planned: Sequence[Change]) -> None:
    """One line for each control that deviates: id, title, found, wanted."""
    ids = {change.control for change in planned}
    for verdict in found:
        if verdict.deviates:
            note = ", this run sets it" if verdict.control.id in ids else ""
            logger.warning(click.style(verdict.line(str(host.name)) + note, fg=COLOURS[verdict.control.severity]))


def save(state: State, folder: Path) -> None:
    """Write the raw state as `<PC>.json`, for `citadelle audit windows`. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (str(host.name).rpartition("/")[2] + ".json")
    path.write_text(json.dumps(state.raw, indent=1) + "\n", "utf-8")


@operation()
def settings(changes: list[Change]) -> Generator[PyinfraCommand, None, None]:
    """Set what is wrong, in one script, and read it again. A setting that the PC does not keep fails the host, with its control's id.

    + changes: from `changes()`; empty where everything is right.
    """
    if not changes:
        host.noop("every control that is set by itself is right")
        return
    yield StringCommand(script(changes))


def script(changes: Sequence[Change]) -> str:
    """The PowerShell that sets all of them."""
    values: dict[str, list[int | str]] = {}
    for kind, name in (("registry", "registry"), ("service", "services"), ("audit", "audits"), ("account", "accounts")):
        mine = [change for change in changes if change.kind == kind]
        values |= {f"{kind}_ids": [change.control for change in mine], name: [change.target for change in mine]}
        values |= {f"{kind}_values": [change.value for change in mine]}
    return powershell.assign(**values) + APPLY
