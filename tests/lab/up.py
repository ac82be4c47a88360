"""`bin/lab up`: from a bare machine to an answer of every PC."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.lab import (
    approval,
    builds,
    certificates,
    converge,
    debian,
    escrow,
    machine,
    model,
    pcs,
    powershell,
    report,
    rootfs,
    schedule,
    state,
)
from tests.lab.commands import LabError, Log
from tests.lab.schedule import Stage
from tests.lab.state import PC1, SRV1, Pc


@dataclass
class Plan:
    """What the stages hand on to each other."""

    engine: str
    powershell: powershell.Engine | None = None
    up: list[Pc] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)


def stages(plan: Plan) -> list[Stage]:
    """The way from a bare machine to answers; each starts as soon as it can."""

    def logged(name: str, work: Callable[[Log], str | None]) -> Callable[[], str | None]:
        return lambda: work(state.log(name.replace(" ", "-")))

    def stage(name: str, work: Callable[[Log], str | None], *needs: str) -> Stage:
        return Stage(name, logged(name, work), needs)

    return [
        stage("docker", _docker),
        # The newer base first: the longest way, the engine's build, starts from it.
        stage("base forky", lambda log: builds.base(debian.NEWER, log), "docker"),
        stage("base bookworm", lambda log: builds.base(debian.BASE, log), "docker"),
        stage("powershell", lambda log: _powershell(plan, log), "docker"),
        stage("model", builds.lay_model),
        stage("model lock", lambda _: approval.approve()),
        stage("escrow key", lambda _: escrow.make()),
        stage("certificate", lambda _: certificates.make()),
        stage("engine image", lambda log: builds.build_engine(plan.engine, log), "base forky"),
        stage("tls image", builds.build_tls, "base forky"),
        stage("monitoring images", builds.build_monitoring, "base forky"),
        stage("python image", builds.build_python, "base bookworm"),
        stage("gateway image", lambda log: builds.build_service("gateway", log), "python image"),
        stage("rag image", lambda log: builds.build_service("rag", log), "python image"),
        stage("pc image", builds.build_pc, "base bookworm"),
        stage("pcs", lambda log: _pcs(plan, log), "pc image", "powershell"),
        stage(
            "bundle",
            lambda log: builds.bundle(plan.engine, log),
            "engine image",
            "gateway image",
            "rag image",
            "tls image",
            "monitoring images",
        ),
        stage("rollout", converge.rollout, "pcs", "bundle", "model", "model lock", "escrow key", "certificate"),
        stage("answers", lambda log: _ask(plan, log), "rollout"),
    ]


def up(engine: str) -> int:
    """Run all; gives the exit code. Prints answers, times and, first and last, what is left out."""
    plan, start = Plan(engine), time.monotonic()
    is_likely = powershell.is_likely()
    todo = stages(plan)
    with report.watcher([stage.name for stage in todo]) as screen:
        screen.say(f"lab: engine {engine}, state in {state.STATE}{'' if is_likely else '; ' + powershell.MISSING}")
        outcomes = schedule.run_all(todo, screen)
    print(report.times(outcomes, time.monotonic() - start))
    for name, outcome in outcomes.items():
        if outcome.error:
            print(f"\n{name}: {outcome.error}")
    for name, answer in sorted(plan.answers.items()):
        print(f"{name}: {answer}")
    failed = [name for name, outcome in outcomes.items() if outcome.state != "done"]
    print(_last_line(plan, failed))
    return 1 if failed else 0


def _last_line(plan: Plan, failed: list[str]) -> str:
    if failed:
        return f"lab: not complete: {', '.join(failed)}\nhint: read {state.STATE / 'logs'}, then run bin/lab again"
    without = f"; {powershell.MISSING}" if plan.powershell and plan.powershell.personality == "none" else ""
    return f"lab: up: {', '.join(pc.name for pc in plan.up)}; next: citadelle ask, bin/lab status{without}"


def _docker(log: Log) -> str:
    missing = [suite for suite in (debian.BASE, debian.NEWER) if machine.usable() and not builds.has_base(suite)]
    is_fresh = bool(missing) or not machine.usable()
    return machine.have_docker(log, tools=tuple(machine.NEEDED) if is_fresh else ())


def _powershell(plan: Plan, log: Log) -> str:
    plan.powershell = powershell.find(log)
    return f"{plan.powershell.personality}: {plan.powershell.origin}"


def _pcs(plan: Plan, log: Log) -> str:
    engine = plan.powershell
    if engine is None:
        raise LabError("the stage powershell has not run")
    pcs.have_network(log)
    plan.up = [SRV1] if engine.personality == "none" else [PC1, SRV1]
    if engine.personality == "none":
        pcs.remove_pc(PC1.name, log=log)
    for pc in plan.up:
        pcs.start_pc(pc.name, pc.kind, pc.address, powershell=engine.folder if pc.kind == "windows" else None, log=log)
    if engine.personality != "none":
        pcs.set_personality(PC1.name, "plain" if engine.personality == "pwsh" else "5.1")
    state.write_lab(plan.up, plan.engine, engine.personality, model.NAME, rootfs.lay())
    return ", ".join(f"{pc.name} {pc.address}" for pc in plan.up)


def _ask(plan: Plan, log: Log) -> str:
    if not (state.ROOT / "deploy.py").is_file():
        return "left out: deploy.py does not exist"
    plan.answers = converge.ask(plan.up, log)
    return f"{len(plan.answers)} of {len(plan.up)} PCs answer"


def down(*, images: bool) -> int:
    """Remove what carries the lab's label, nothing else; caches in `.lab` and images stay unless asked."""
    for line in pcs.remove_all(images=images):
        print(line)
    if images:
        shutil.rmtree(state.STATE / "bundle", ignore_errors=True)
    for name in ("lab.json", "known_hosts"):
        (state.STATE / name).unlink(missing_ok=True)
    print("lab: down")
    return 0
