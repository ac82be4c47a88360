"""How long a change of the line waits for an answer, and what it says of the wait."""

from __future__ import annotations

from typing import Any

import pytest

from citadelle.operations import rollback


@pytest.mark.parametrize("late", ["undoing", TimeoutError()])
def test_a_question_that_waited_while_the_line_was_cut_tells_how_long(
    monkeypatch: pytest.MonkeyPatch, late: str | TimeoutError
) -> None:
    """The one under way at the cut is answered when the line is back, or not in time: only the next one hears that the change is gone."""
    now = 0.0
    answers: list[tuple[float, str | TimeoutError]] = [(1.0, "waiting"), (57.0, late), (1.0, "gone")]

    def ask(host: Any, keep: bool) -> str:
        nonlocal now
        seconds, said = answers.pop(0)
        now += seconds
        if isinstance(said, TimeoutError):
            raise said
        return said

    monkeypatch.setattr(rollback, "_ask", ask)
    monkeypatch.setattr(rollback.time, "monotonic", lambda: now)
    monkeypatch.setattr(rollback.time, "sleep", lambda seconds: None)
    assert rollback._await(None, 60) == ("gone", "no answer for 57 s")
