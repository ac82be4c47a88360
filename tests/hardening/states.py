"""States for tests: a right PC made from the table itself, and states assembled from captures of genuine Windows."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path
from typing import Any

from citadelle.hardening.judge import Verdict, judge
from citadelle.hardening.state import State
from citadelle.hardening.table import Control, Table
from tests.conftest import ROOT, shared_path

TABLE = Table.load(ROOT / "policies/windows.yaml")
TODAY = date(2026, 6, 1)
START = {2: "Auto", 3: "Manual", 4: "Disabled"}


def one(identity: str) -> Control:
    """A control of the table by its id."""
    return next(control for control in TABLE.controls if control.id == identity)


def parsed(**sections: Any) -> State:
    """A state of raw sections, through the fact's own parser."""
    return State.parse({"format": 1, "sections": sections})


def verdicts(state: State, *ids: str) -> dict[str, Verdict]:
    """The verdicts on some controls of the table, or on all."""
    found = judge(state, TABLE, [], host="@windows/pc1", groups=["windows"], today=TODAY)
    return {verdict.control.id: verdict for verdict in found if not ids or verdict.control.id in ids}


def capture(*path: str) -> str:
    """Text of a genuine capture; skips where it is absent."""
    return shared_path("data", "windows", *path).read_text("utf-8-sig")


def services() -> list[dict[str, Any]]:
    """Get-Service's numbers as Win32_Service's words."""
    rows = json.loads(capture("windows", "get-service.ps51.json"))
    return [{"Name": row["Name"], "StartMode": START[row["StartType"]]} for row in rows]


def version(name: str) -> dict[str, Any]:
    """The registry values of a Windows as the script selects them."""
    found = json.loads(capture("windows", f"currentversion.{name}.0.json"))
    return {"Build": found["CurrentBuild"], "Revision": found["UBR"], "EditionID": found["EditionID"]}


def french_profiles() -> list[dict[str, Any]]:
    """The table of a French Windows as objects: its columns are name and whether it is on."""
    rows = re.findall(r"^(\w+) +(True|False) *$", capture("fr", "get-netfirewallprofile.ft.txt"), re.M)
    return [{"Name": name, "Enabled": int(enabled == "True")} for name, enabled in rows]


def listed(path: Path) -> dict[str, str]:
    """`Name : value` lines of Format-List."""
    return dict(re.findall(r"^(\w+) +: (.*?) *$", path.read_text("utf-8-sig"), re.M))
