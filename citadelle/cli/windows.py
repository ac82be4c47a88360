"""The Windows side of a PC, judged outside of a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from citadelle.cli.check import DEPLOY, Check
from citadelle.cli.controls import look
from citadelle.cli.hosts import WindowsSide
from citadelle.escrow.kept import encrypted, unkept
from citadelle.escrow.store import Escrow
from citadelle.hardening.accelerators import accelerators
from citadelle.hardening.state import State

PAGE = "docs/bitlocker.md"


def windows(side: WindowsSide) -> Iterator[Check]:
    """W001 to W003, then one check for each control."""
    try:
        judged = look(side)
    except OSError as error:
        yield Check("W001", side.pc, False, *side.problem(error))
        return
    yield Check("W001", side.pc, True, f"Windows reachable, {judged.count}")
    yield _devices(side.pc, judged.state)
    yield Check("W003", side.pc, *_escrow(side, judged.state))
    yield from judged.checks(side.pc)


def _devices(pc: str, state: State) -> Check:
    """What could compute beside the processor, and who can use it: a finding only where Windows does not say."""
    unknown = [name for name in ("gpus", "npus") if name not in state.sections]
    if unknown:
        why = "; ".join(f"{name}: {state.errors.get(name, 'not in this state')}" for name in unknown)
        return Check("W002", pc, False, f"graphics and neural processors are unknown: {why}", "Get-PnpDevice on the PC")
    told = "; ".join(f"{one.kind}: {one.told} ({one.vendor}): {one.use}" for one in accelerators(state))
    return Check("W002", pc, True, told or "no graphics or neural processor")


def _escrow(side: WindowsSide, state: State) -> tuple[bool, str, str]:
    """Whether the recovery key of each encrypted volume lies in this controller's escrow: is it right, what was found, what to do."""
    if "bitlocker" not in state.sections:
        why = state.errors.get("bitlocker", "not in this state")
        return False, f"what BitLocker says is unknown: {why}", "Get-BitLockerVolume in a console of the PC"
    volumes = encrypted(state)
    if not volumes:
        return True, "no volume is encrypted: no recovery key is needed", ""
    given = side.connector.host.data.dict()
    first, second = (given.get(name) for name in ("bitlocker_escrow", "bitlocker_escrow_copy"))
    if not first or not second:
        return False, "no escrow is named by the inventory: bitlocker_escrow, bitlocker_escrow_copy", PAGE
    escrow = Escrow(Path(first).expanduser(), Path(second).expanduser())
    missing = "; ".join(unkept(side.name.rpartition("/")[2], volumes, escrow))
    mounts = ", ".join(volume.mount_point for volume in volumes)
    return not missing, missing or f"recovery keys in escrow, twice: {mounts}", f"{DEPLOY}: keeps them; {PAGE}"
