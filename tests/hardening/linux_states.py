"""States of Linux hosts for tests: a host as it answers, and one on which every control that the role sets is right."""

from __future__ import annotations

from datetime import date
from typing import Any

from citadelle.hardening import linux
from citadelle.hardening.judge import Verdict, judge
from citadelle.hardening.state import State
from citadelle.hardening.table import Control, Table
from tests.conftest import ROOT

TABLE = Table.load(ROOT / "policies/linux.yaml")
TODAY = date(2026, 6, 1)
PLATFORM = {
    "kind": "host", "kernel": "yes", "audit": "yes", "systemd": "yes", "apparmor": "Y", "sshd": "yes", "docker": "yes", "apt": "yes",
    "login": "operator", "architecture": "x86_64", "restart": "no",
}  # fmt: skip


def one(identity: str) -> Control:
    """A control of the table by its id."""
    return next(control for control in TABLE.controls if control.id == identity)


def parsed(**sections: Any) -> State:
    """A state of raw sections, through the fact's own parser; a platform unless another is given."""
    return linux.parse({"format": 1, "system": "linux", "sections": {"platform": PLATFORM, **sections}, "errors": {}})


def answered(*lines: str) -> State:
    """A state of lines as the script writes them."""
    return linux.parse(linux.raw([*(f"platform\t{name}\t{value}" for name, value in PLATFORM.items()), *lines]))


def as_set() -> dict[str, Any]:
    """Sections in which every value that the role sets stands as it sets it."""
    sections: dict[str, Any] = {}
    for control in TABLE.controls:
        if control.apply is not None:
            sections.setdefault(control.judge.kind, {})[control.judge.target] = control.apply
    return sections


def verdicts(state: State, *ids: str) -> dict[str, Verdict]:
    """The verdicts on some controls of the table, or on all."""
    found = judge(state, TABLE, [], host="@linux/srv1", groups=["linux"], today=TODAY)
    return {verdict.control.id: verdict for verdict in found if not ids or verdict.control.id in ids}


def by_target(target: str) -> str:
    """The id of the control that judges this value."""
    return next(control.id for control in TABLE.controls if control.judge.target == target)
