"""What `citadelle doctor` says of the accelerator and of the memory: what was planned, held against what is there now."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from pyinfra.api.exceptions import FactProcessError

from citadelle.accelerator.budget import Budget, in_bytes
from citadelle.accelerator.decision import Choice
from citadelle.accelerator.hardware import Hardware
from citadelle.cli.hosts import Serving
from citadelle.facts.accelerator import AcceleratorHardware
from citadelle.operations.stack import CURRENT, PLAN
from citadelle.release import read_env

DEPLOY = "pyinfra inventory deploy.py"


class Said(NamedTuple):
    """A check without its host: `id` never changes its meaning."""

    id: str
    ok: bool
    found: str
    next_step: str


def checks(serving: Serving) -> Iterator[Said]:
    """H070: what computes is still there. H071: what else is there, and why it is not used. H072: the memory that was planned with."""
    try:
        hardware = _hardware(serving)
        env, plan = (
            read_env(serving.read(f"cat {CURRENT}/stack.env")),
            json.loads(serving.read(f"cat {CURRENT}/{PLAN}")),
        )
        yield from judged(hardware, env, plan)
    except (OSError, FactProcessError, ValueError, LookupError, TypeError) as error:
        yield Said("H070", False, serving.problem(error)[0], DEPLOY)


def _hardware(serving: Serving) -> Hardware:
    fact = AcceleratorHardware()
    return fact.process(serving.read(fact.command().get_raw_value()).splitlines())


def judged(hardware: Hardware, env: dict[str, str], plan: dict[str, Any]) -> Iterator[Said]:
    """The checks for a host with this hardware, `stack.env` and `plan.json`. Raises LookupError, TypeError for files of another form."""
    decision = Choice(plan["wanted"], plan["engine"], frozenset(plan["images"])).on(hardware)
    runs = f"{plan['accelerator']}: {plan['device']}" + (", experimental" if plan["experimental"] else "")
    moved = [f"{name} is {value} by now" for name, value in decision.env.items() if env.get(name) != value]
    now = moved if decision.line() == runs else [f"by now it would be {decision.line()}"]
    yield Said("H070", not decision.refusal and not now, decision.refusal or "; ".join([runs, *now]), DEPLOY)
    yield Said("H071", True, "; ".join(decision.unused) or "no other accelerator", "")
    budget = Budget(**{name: plan[name] for name in Budget.__dataclass_fields__ if name in plan})
    short = f"; the host has {hardware.memory >> 20} MiB" if in_bytes(budget.memory) > hardware.memory else ""
    next_step = f"stack_engine_context, stack_engine_memory in the inventory, or a smaller model; {DEPLOY}"
    yield Said("H072", budget.fits and not short, f"{budget.line()}; {budget.source()}{short}", next_step)
