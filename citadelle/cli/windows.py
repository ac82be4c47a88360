"""The Windows side of a PC, judged outside of a run."""

from __future__ import annotations

from collections.abc import Iterator

from citadelle.cli.check import Check
from citadelle.cli.controls import look
from citadelle.cli.hosts import WindowsSide
from citadelle.hardening.accelerators import accelerators
from citadelle.hardening.state import State


def windows(side: WindowsSide) -> Iterator[Check]:
    """W001 and W002, then one check for each control."""
    try:
        judged = look(side)
    except OSError as error:
        yield Check("W001", side.pc, False, *side.problem(error))
        return
    yield Check("W001", side.pc, True, f"Windows reachable, {judged.count}")
    yield _devices(side.pc, judged.state)
    yield from judged.checks(side.pc)


def _devices(pc: str, state: State) -> Check:
    """What could compute beside the processor, and who can use it: a finding only where Windows does not say."""
    unknown = [name for name in ("gpus", "npus") if name not in state.sections]
    if unknown:
        why = "; ".join(f"{name}: {state.errors.get(name, 'not in this state')}" for name in unknown)
        return Check("W002", pc, False, f"graphics and neural processors are unknown: {why}", "Get-PnpDevice on the PC")
    told = "; ".join(f"{one.kind}: {one.name} ({one.vendor}): {one.use}" for one in accelerators(state))
    return Check("W002", pc, True, told or "no graphics or neural processor")
