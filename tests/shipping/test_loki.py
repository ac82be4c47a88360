"""The way to Loki, against a double that has its rules."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pytest

from citadelle.shipping import loki as way
from tests.shipping.loki import Loki, loki
from tests.shipping.test_forms import LINES


@pytest.fixture
def double() -> Iterator[Loki]:
    with loki() as found:
        found.clock = lambda: int(way.nanoseconds({"t": "2026-11-22T18:01:00Z"}))  # lines here are of that day
        yield found


@pytest.fixture
def sender(double: Loki) -> way.Loki:
    return way.Loki(f"http://127.0.0.1:{double.port}/loki/api/v1/push", "srv1")


def entry(line: str, second: int = 0, **fields: str) -> str:
    return json.dumps(
        {"t": f"2026-11-22T18:00:{second:02}.000001+00:00", "tag": "", "container": "", "unit": "", "line": line}
        | fields
    )


@pytest.fixture(autouse=True)
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What it says to the journal."""
    lines: list[str] = []
    monkeypatch.setattr(way.handover, "report", lines.append)
    return lines


def test_streams_are_few_and_lines_in_order(double: Loki, sender: way.Loki, told: list[str]) -> None:
    lines = [
        entry("later", 2, container="citadelle/citadelle-gateway-1", unit="docker.service", level="info"),
        entry("first", 1, container="citadelle/citadelle-gateway-1", unit="docker.service", level="info"),
        entry("unit", 3, unit="citadelle-models.service", level="warning"),
        entry(LINES["answered"], 9, tag="audit"),
        "no entry", '{"t":"x","line":"y"}', '{"t":5}',
    ]  # fmt: skip
    assert sender.push(lines) == ""
    assert told == ["3 lines for Loki are no entries, and are left out"]
    assert double.refused == []
    assert [dict(key) for key in double.streams] == [
        {"host": "srv1", "job": "stack", "level": "info", "service": "gateway"},
        {"host": "srv1", "job": "host", "level": "warning", "service": "citadelle-models"},
        {"host": "srv1", "job": "audit", "level": "info", "service": "gateway"},
    ]
    assert double.lines(job="stack") == ["first", "later"]
    assert double.lines(job="audit") == [LINES["answered"]]
    [(moment, _)] = double.streams[
        tuple(sorted({"host": "srv1", "job": "audit", "level": "info", "service": "gateway"}.items()))
    ]
    assert moment == 1795370400123000007  # the record's own time, and its number


def test_records_of_one_millisecond_keep_their_order(double: Loki, sender: way.Loki) -> None:
    records = [f'{{"seq":{number},"ts":"2026-11-22T18:00:00.123Z","event":"start"}}' for number in (9, 10, 11, 100)]
    assert sender.push([entry(record, tag="audit") for record in records]) == ""
    assert double.lines(job="audit") == records


def test_a_batch_may_come_twice(double: Loki, sender: way.Loki) -> None:
    batch = [entry(LINES["answered"], tag="audit"), entry(LINES["cut"], tag="audit")]
    assert (sender.push(batch), sender.push(batch)) == ("", "")
    assert double.pushes == 2
    assert len(double.lines(job="audit")) == 2


def test_what_loki_refuses_for_now_comes_again_and_what_it_never_takes_does_not(
    double: Loki, sender: way.Loki, told: list[str]
) -> None:
    for status in (429, 500, 503):
        double.broken = status
        assert sender.push([entry("x")]) == f"Loki answers {status}"
    double.broken = 0
    assert sender.push([entry("a" * 70_000)]) == ""
    [line] = double.lines(job="host")
    assert line.endswith("a [cut]")
    assert sender.push([json.dumps({"t": "2026-11-22T15:00:00Z", "line": "old"})]) == ""
    assert "too far behind" in double.refused[0]
    assert told == ["Loki refuses lines of a batch of 1 for good: they are not in it"]


def test_a_batch_of_no_entries_ends_there(double: Loki, sender: way.Loki, told: list[str]) -> None:
    """Loki answers 422 to a push of nothing: it would come again without end, and all lines behind it wait."""
    assert sender.push(["no entry"]) == ""
    assert (double.pushes, told) == (0, ["1 lines for Loki are no entries, and are left out"])


def test_a_batch_that_could_not_be_delivered_comes_again_after_a_while(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """rsyslog waits for the answer, and for nothing after it."""
    waited: list[float] = []
    monkeypatch.setattr(way.handover.time, "sleep", waited.append)
    batch = f"{way.handover.BEGIN}\nx\n{way.handover.COMMIT}\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(2 * batch.encode())))
    answers = iter(("cannot reach Loki", ""))
    way.handover.serve(lambda _: next(answers))
    assert capsys.readouterr().out.splitlines() == [
        "OK",
        "OK",
        "DEFER_COMMIT",
        "cannot reach Loki",
        "OK",
        "DEFER_COMMIT",
        "OK",
    ]
    assert waited == [way.handover.AGAIN_SECONDS]


def test_nobody_there(sender: way.Loki) -> None:
    assert (
        way.Loki("http://127.0.0.1:9/loki/api/v1/push", "srv1").push([entry("x")])
        == "cannot reach Loki: ConnectionRefusedError"
    )
