"""The Windows side of a PC, judged outside of a run by the rows that the role `hardening` applies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Literal

from citadelle.cli.check import DEPLOY, Check
from citadelle.cli.hosts import WindowsSide
from citadelle.hardening.accelerators import accelerators
from citadelle.hardening.judge import Verdict, judge
from citadelle.hardening.state import State
from citadelle.hardening.table import Table, TableError
from citadelle.hardening.waivers import Waiver, load_waivers

CONTROLS, WAIVERS = Path("policies/windows.yaml"), Path("policies/waivers.yaml")
ACCEPT = "it is judged only: docs/controls.md; cure it, or accept it in policies/waivers.yaml"


@dataclass(frozen=True)
class Judged:
    """One look at a PC, and the verdict on every control."""

    state: State
    verdicts: list[Verdict]

    @property
    def problem(self) -> str:
        """How many controls somebody has to do something about; empty where it is none."""
        count = sum(verdict.deviates for verdict in self.verdicts)
        return f"controls of Windows deviate: {count}" if count else ""


def counted(verdicts: Sequence[Verdict]) -> str:
    """`246 controls: 240 pass, 4 waived, 2 fail`: the verdicts add up."""
    counts = Counter(verdict.status for verdict in verdicts).most_common()
    return f"{len(verdicts)} controls: " + ", ".join(f"{count} {status}" for status, count in counts)


def tables(controls: Path, waivers: Path, system: Literal["windows", "linux"]) -> tuple[Table, list[Waiver]]:
    """Both files. Raises SystemExit: by a wrong table nothing is judged."""
    try:
        table = Table.load(controls)
        return table, load_waivers(waivers, table, system)
    except TableError as error:
        raise SystemExit(f"{error}\nhint: run in the checkout, or give --controls and --waivers") from None


_read_once = cache(tables)  # most hosts share them, and a table takes longer to read than a state to judge


def look(side: WindowsSide) -> Judged:
    """Judge the PC by the table and the waivers that its inventory names. Raises OSError, SystemExit."""
    given = side.connector.host.data.dict()
    controls, accepted = given.get("hardening_controls") or CONTROLS, given.get("hardening_waivers") or WAIVERS
    table, waivers = _read_once(Path(controls).expanduser(), Path(accepted).expanduser(), "windows")
    state = side.look(table.registry_values)
    groups = list(side.connector.host.groups)
    return Judged(state, judge(state, table, waivers, host=side.name, groups=groups, today=date.today()))


def windows(side: WindowsSide) -> Iterator[Check]:
    """W001 and W002, then one check for each control, by the control's own id."""
    try:
        judged = look(side)
    except OSError as error:
        yield Check("W001", side.pc, False, *side.problem(error))
        return
    yield Check("W001", side.pc, True, f"Windows reachable, {counted(judged.verdicts)}")
    yield _devices(side.pc, judged.state)
    yield from (_control(side.pc, verdict) for verdict in judged.verdicts)


def _devices(pc: str, state: State) -> Check:
    """What could compute beside the processor, and who can use it: a finding only where Windows does not say."""
    unknown = [name for name in ("gpus", "npus") if name not in state.sections]
    if unknown:
        why = "; ".join(f"{name}: {state.errors.get(name, 'not in this state')}" for name in unknown)
        return Check("W002", pc, False, f"graphics and neural processors are unknown: {why}", "Get-PnpDevice on the PC")
    told = "; ".join(f"{one.kind}: {one.name} ({one.vendor}): {one.use}" for one in accelerators(state))
    return Check("W002", pc, True, told or "no graphics or neural processor")


def _control(pc: str, verdict: Verdict) -> Check:
    step = DEPLOY if verdict.control.is_set and verdict.status == "fail" else ACCEPT
    return Check(verdict.control.id, pc, not verdict.deviates, verdict.told(), step)
