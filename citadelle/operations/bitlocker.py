"""Volumes under BitLocker, their recovery keys in escrow first."""

from __future__ import annotations

from collections.abc import Generator

import click
from pyinfra import host, logger
from pyinfra.api import FunctionCommand, operation
from pyinfra.api.command import PyinfraCommand

from citadelle.escrow.work import Plan
from citadelle.operations import bitlocker_steps as steps
from citadelle.operations.bitlocker_steps import Vault
from citadelle.operations.refusal import refusals

DOES = {
    "seal": "a recovery key is not in escrow",
    "mend": "a recovery key is not in escrow twice",
    "gone": "a recovery key in escrow opens it no more",
    "backup": "a recovery key is not kept by Windows elsewhere",
    "alter": "protectors or encryption are not as they should be",
    "old": "a recovery key is to be replaced",
}


@operation()
def volumes(plan: Plan, vault: Vault) -> Generator[PyinfraCommand, None, None]:
    """Have the volumes of a plan encrypted, protected and recoverable, each key in escrow before.

    + plan: from `citadelle.escrow.plan`.
    + vault: see `Vault`.

    Keys of what is encrypted already are kept even on a PC that is refused afterwards.
    """
    if not plan.work and not plan.problems:
        host.noop("every volume is as it should be, its keys in escrow")
        return
    works = [work for work in plan.work if not (plan.problems and work.clear)]
    if any(work.seal or work.mend or work.gone for work in works):
        yield FunctionCommand(steps.take, (steps.seal, works, vault), {})
    if plan.problems:
        yield refusals(list(plan.problems))
        return
    for work in works:
        for needed, step in ((work.backup, steps.backup), (work.alter, steps.protect), (bool(work.old), steps.retire)):
            if needed:
                yield FunctionCommand(steps.take, (step, work, vault), {})


def tell(plan: Plan) -> None:
    """A line for each thing that is to be known, and for each volume that deviates."""
    for line in plan.told:
        logger.warning(click.style(f"{host.name}: {line}", fg="yellow"))
    for work in plan.work:
        done = [name for name in ("seal", "mend", "gone", "backup", "alter", "old") if getattr(work, name)]
        logger.warning(
            click.style(f"{host.name}: {work.mount} deviates: {', '.join(map(DOES.__getitem__, done))}", fg="red")
        )
