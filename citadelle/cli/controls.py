"""A host judged outside of a run by the rows that the role `hardening` applies: one look, and the verdict on every control."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Literal

from citadelle.cli.check import DEPLOY, Check
from citadelle.cli.hosts import Serving, WindowsSide
from citadelle.hardening.judge import Verdict, judge
from citadelle.hardening.state import State
from citadelle.hardening.table import Table, TableError
from citadelle.hardening.waivers import Waiver, load_waivers

System = Literal["windows", "linux"]
CONTROLS = {"windows": Path("policies/windows.yaml"), "linux": Path("policies/linux.yaml")}
WAIVERS = Path("policies/waivers.yaml")
KEYS = {"windows": "hardening_controls", "linux": "hardening_linux_controls"}
NAMES = {"windows": "Windows", "linux": "Linux"}
ACCEPT = "it is judged only: docs/controls.md; cure it, or accept it in policies/waivers.yaml"


@dataclass(frozen=True)
class Judged:
    """One look at a host, and the verdict on every control."""

    system: System
    state: State
    verdicts: list[Verdict]

    @property
    def problem(self) -> str:
        """How many controls somebody has to do something about; empty where it is none."""
        count = sum(verdict.deviates for verdict in self.verdicts)
        return f"controls of {NAMES[self.system]} deviate: {count}" if count else ""

    @property
    def count(self) -> str:
        """`246 controls of Windows: 240 pass, 4 waived, 2 fail`: the verdicts add up."""
        return counted(self.verdicts, f" of {NAMES[self.system]}")

    def checks(self, pc: str) -> list[Check]:
        """One for each control, by the control's own id."""
        return [_control(pc, verdict) for verdict in self.verdicts]


def counted(verdicts: Sequence[Verdict], of: str = "") -> str:
    """`246 controls: 240 pass, 4 waived, 2 fail`: the verdicts add up."""
    counts = Counter(verdict.status for verdict in verdicts).most_common()
    return f"{len(verdicts)} controls{of}: " + ", ".join(f"{count} {status}" for status, count in counts)


def tables(controls: Path, waivers: Path, system: System) -> tuple[Table, list[Waiver]]:
    """Both files. Raises SystemExit: by a wrong table nothing is judged."""
    try:
        table = Table.load(controls)
        return table, load_waivers(waivers, table, system)
    except TableError as error:
        raise SystemExit(f"{error}\nhint: run in the checkout, or give --controls and --waivers") from None


_read_once = cache(tables)  # most hosts share them, and a table takes longer to read than a state to judge


def look(one: Serving | WindowsSide) -> Judged:
    """Judge a side of a PC by the table and the waivers that its inventory names. Raises OSError, SystemExit."""
    host = one.connector.host
    given = host.data.dict()
    system: System = "windows" if isinstance(one, WindowsSide) else "linux"
    controls, accepted = given.get(KEYS[system]) or CONTROLS[system], given.get("hardening_waivers") or WAIVERS
    table, waivers = _read_once(Path(controls).expanduser(), Path(accepted).expanduser(), system)
    state = one.look(table.names)
    if system == "windows":
        state = state.chosen(given.get("bitlocker_unlock"))
    found = judge(state, table, waivers, host=str(host.name), groups=list(host.groups), today=date.today())
    return Judged(system, state, found)


def _control(pc: str, verdict: Verdict) -> Check:
    step = DEPLOY if verdict.control.is_set and verdict.status == "fail" else ACCEPT
    return Check(verdict.control.id, pc, not verdict.deviates, verdict.told(), step)
