"""Stages side by side: each starts as soon as those that it needs have ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class Stage:
    """A piece of work: `run` may answer one line that says what it did. `needs`: names of stages that must have ended well."""

    name: str
    run: Callable[[], str | None]
    needs: Sequence[str] = ()


@dataclass
class Outcome:
    """`seconds` is wall time; `state` one of waiting, running, done, failed, skipped (one that it needs failed)."""

    state: str = "waiting"
    seconds: float = 0.0
    note: str = ""
    error: BaseException | None = None
    started: float = field(default=0.0, repr=False)


class Watcher(Protocol):
    """Is told of every change, from the scheduler's own thread."""

    def changed(self, name: str, outcome: Outcome) -> None: ...


class Silent:
    """For tests."""

    def changed(self, name: str, outcome: Outcome) -> None: ...


def check(stages: Sequence[Stage]) -> None:
    """Raises `ValueError` for two stages of one name, an unknown need, or a circle."""
    names = [stage.name for stage in stages]
    twice = sorted({name for name in names if names.count(name) > 1})
    unknown = sorted({need for stage in stages for need in stage.needs} - set(names))
    if twice or unknown:
        raise ValueError(f"stages: twice: {twice}, unknown: {unknown}")
    left = {stage.name: set(stage.needs) for stage in stages}
    while left:
        free = [name for name, needs in left.items() if not needs & left.keys()]
        if not free:
            raise ValueError(f"stages wait for each other: {sorted(left)}")
        for name in free:
            del left[name]


def run_all(stages: Sequence[Stage], watcher: Watcher, *, workers: int = 8) -> dict[str, Outcome]:
    """Run all; stages whose needs failed are skipped, the others go on to their end."""
    check(stages)
    outcomes = {stage.name: Outcome() for stage in stages}
    futures: dict[Future[None], str] = {}
    with ThreadPoolExecutor(workers, thread_name_prefix="stage") as pool:
        while True:
            _skip(stages, outcomes, watcher)
            for stage in _ready(stages, outcomes):
                outcomes[stage.name].state = "running"
                outcomes[stage.name].started = time.monotonic()
                watcher.changed(stage.name, outcomes[stage.name])
                futures[pool.submit(_work, stage, outcomes[stage.name])] = stage.name
            if not futures:
                return outcomes
            for future in wait(futures, return_when=FIRST_COMPLETED).done:
                name = futures.pop(future)
                watcher.changed(name, outcomes[name])


def _ready(stages: Sequence[Stage], outcomes: dict[str, Outcome]) -> list[Stage]:
    def is_ready(stage: Stage) -> bool:
        return outcomes[stage.name].state == "waiting" and all(outcomes[need].state == "done" for need in stage.needs)

    return [stage for stage in stages if is_ready(stage)]


def _skip(stages: Sequence[Stage], outcomes: dict[str, Outcome], watcher: Watcher) -> None:
    for _ in stages:  # a skipped stage skips those behind it: at most as many rounds as stages
        for stage in stages:
            failed = [need for need in stage.needs if outcomes[need].state in ("failed", "skipped")]
            if failed and outcomes[stage.name].state == "waiting":
                outcomes[stage.name].state, outcomes[stage.name].note = "skipped", f"needs {failed[0]}"
                watcher.changed(stage.name, outcomes[stage.name])


def _work(stage: Stage, outcome: Outcome) -> None:
    threading.current_thread().name = f"stage {stage.name}"
    try:
        outcome.note = stage.run() or ""
    except BaseException as error:  # kept for the summary: one stage never takes the others along
        outcome.error, outcome.note = error, str(error).splitlines()[0] if str(error) else type(error).__name__
    outcome.seconds = time.monotonic() - outcome.started
    outcome.state = "failed" if outcome.error else "done"
