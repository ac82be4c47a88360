"""What the person at the terminal sees: a live table there, plain lines elsewhere, and the times at the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tests.lab.schedule import Outcome

MARKS = {"waiting": "·", "running": "…", "done": "✓", "failed": "✗", "skipped": "-"}
STYLES = {"running": "bold cyan", "done": "green", "failed": "bold red", "skipped": "yellow", "waiting": "dim"}


class Lines:
    """A line when a stage starts, another when it ends."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None: ...

    def say(self, text: str) -> None:
        print(text, flush=True)

    def changed(self, name: str, outcome: Outcome) -> None:
        passed = time.monotonic() - self._start
        detail = {"running": "starts", "skipped": f"skipped: {outcome.note}", "failed": f"failed: {outcome.note}"}.get(
            outcome.state, f"done in {outcome.seconds:.1f} s{': ' + outcome.note if outcome.note else ''}"
        )
        print(f"[{passed:6.1f} s] {name}: {detail}", flush=True)


class Screen:
    """The same as a table that stays in place; what `say` gives goes above it."""

    def __init__(self, console: Console, names: list[str]) -> None:
        self._console, self._lock = console, threading.Lock()
        self._outcomes: dict[str, Outcome] = {name: Outcome() for name in names}
        self._live = Live(get_renderable=self._table, console=console, refresh_per_second=4)

    def __enter__(self) -> Screen:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        self._console.print(Text(text))

    def changed(self, name: str, outcome: Outcome) -> None:
        with self._lock:
            self._outcomes[name] = outcome

    def _table(self) -> Group:
        with self._lock:
            rows = list(self._outcomes.items())
        table = Table.grid(padding=(0, 1))
        for name, outcome in rows:
            now = time.monotonic() - outcome.started if outcome.state == "running" else outcome.seconds
            spent = f"{now:6.1f} s" if outcome.started else ""
            style = STYLES[outcome.state]
            table.add_row(
                Text(MARKS[outcome.state], style), Text(name, style), Text(spent), Text(outcome.note[:80], "dim")
            )
        return Group(table)


def watcher(names: list[str]) -> Lines | Screen:
    """The live table on a terminal, plain lines in a file, a pipe or CI."""
    console = Console()
    return Screen(console, names) if console.is_terminal else Lines()


def times(outcomes: Mapping[str, Outcome], total: float) -> str:
    """The table of stage times, as text of fixed width."""
    width = max(len(name) for name in outcomes)
    rows = [
        f"  {name:<{width}}  {outcome.seconds:7.1f} s  {_detail(outcome)}".rstrip()
        for name, outcome in outcomes.items()
    ]
    return "\n".join(["stages:", *rows, f"  {'all (side by side)':<{width}}  {total:7.1f} s"])


def _detail(outcome: Outcome) -> str:
    return outcome.note if outcome.state == "done" else f"{outcome.state}: {outcome.note}"
