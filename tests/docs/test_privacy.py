"""docs/privacy.md names every field that is stored, and no other; each period is the setting's."""

from __future__ import annotations

import re

from gateway import log

from citadelle import audit
from roles.observability.settings import ObservabilitySettings
from roles.stack.settings import StackSettings
from tests.conftest import ROOT

PAGE = (ROOT / "docs/privacy.md").read_text()
CHAIN = {"seq", "ts", "prev", "mac", "event", "missing"}  # what citadelle/audit_receiver.py adds


def named(title: str) -> set[str]:
    """Fields that the section names, in its table's first column where it has one."""
    section = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    cells = re.findall(r"(?m)^\| (`.*?) \|", section) or [section.partition(". **No key**")[0]]
    return set(re.findall(r"`(\w+)`", " ".join(cells)))


def test_every_field_of_the_audit_trail_is_named_and_no_other() -> None:
    assert named("Fields of the audit trail") == audit.FIELDS | CHAIN


def test_every_field_of_the_log_is_named_and_no_other() -> None:
    assert named("Fields of the gateway's log") == log.FIELDS | {"ts", "event"}


def test_every_period_is_the_settings_own() -> None:
    told = dict(re.findall(r"`((?:stack|observability)_\w*days)` \((\d+)\)", PAGE))
    settings = StackSettings().model_dump() | ObservabilitySettings().model_dump()
    assert told.keys() == {
        "stack_audit_days", "stack_pseudonym_days", "stack_journal_days", "observability_days", "observability_log_days",
    }  # fmt: skip
    assert {name: int(days) for name, days in told.items()} == {name: settings[name] for name in told}
