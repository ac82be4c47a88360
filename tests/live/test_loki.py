"""A genuine Loki with the configuration of a release: what the sender of hosts brings, what it refuses, and everything that is asked of it.

`--live` only. Loki's address comes from `CITADELLE_LIVE_LOKI` (docs/observability.md says how one is started), or it is the container
of the neighbour's tests. Lines go through the program that hosts run, records are those of the fast tests.
"""

from __future__ import annotations

import gzip
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from citadelle import audit
from citadelle.shipping import events
from citadelle.shipping import loki as way
from tests.observability.test_dashboards import questions
from tests.observability.test_sigma import QUESTIONS
from tests.shipping.loki import Loki, loki
from tests.shipping.test_events import ALL
from tests.shipping.test_forms import KEY, RECORDS

pytestmark = pytest.mark.live

HOST = f"live{time.time_ns()}"
NOW = datetime.now(UTC)
VARIABLES = {"$service": ".+", "$__auto": "5m", "$__range": "1h"}


def stamp(**ago: float) -> str:
    return (NOW - timedelta(**ago)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def entry(line: str, **fields: str) -> str:
    return json.dumps({"t": stamp(seconds=30), "tag": "", "container": "", "unit": "", "line": line} | fields)


def audit_line(number: int, fields: dict[str, Any]) -> str:
    body = {"seq": number, "ts": stamp(seconds=30), **fields, "prev": "0" * 64}
    return audit.seal(KEY, body)[0].decode().rstrip("\n")


AUDIT = [audit_line(number, fields) for number, fields in enumerate(RECORDS.values())]
WINDOWS = [
    json.dumps(events.record(given | {"ts": stamp(seconds=20)}), separators=(",", ":")) for given in ALL.values()
]
# Batches in their order, each with what is refused of it; the double has to agree.
BATCHES: dict[str, list[str]] = {
    "audit": [entry(line, tag="audit") for line in AUDIT],
    "again": [entry(line, tag="audit") for line in AUDIT],
    "windows": [entry(line, tag="windows") for line in WINDOWS],
    "journal": [
        entry("error: it broke", container="citadelle/citadelle-gateway-1", level="err"),
        entry("started", unit="citadelle-models.service"),
    ],
    "late": [entry("half an hour late", unit="late.service", t=stamp(minutes=30)), entry("now", unit="late.service")],
    "behind": [entry("first", unit="behind.service"), entry("two hours late", unit="behind.service", t=stamp(hours=2))],
    "behind what is kept": [entry("three hours late", unit="behind.service", t=stamp(hours=3))],
    "old": [entry("of last month", unit="old.service", t=stamp(days=30)), entry("new", unit="old.service")],
    "future": [entry("tomorrow", unit="future.service", t=stamp(days=-1))],
    "long": [entry("a" * 70_000, unit="long.service")],
    "no entries": ["no entry"],
    "not text": [entry("\x00\x07é\ud800\U0001f600", unit="odd.service"), entry("", unit="odd.service")],
}


Brought = tuple[dict[str, tuple[str, bool]], dict[str, tuple[str, bool]], Loki]


class Asked:
    """A Loki by its address."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open

    def get(self, path: str, **words: str) -> tuple[int, Any]:
        try:
            with self._open(f"{self.url}{path}?{urllib.parse.urlencode(words)}", timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def ask(self, question: str) -> list[Any]:
        """The result of a question about the last two days; one that is not understood fails."""
        span = {"start": str(int((NOW - timedelta(days=2)).timestamp())), "end": str(int(time.time()) + 1)}
        path = "/loki/api/v1/query_range"
        status, said = self.get(path, query=question, limit="5000", step="60", **span)
        assert (status, status == 200 and said["status"]) == (200, "success"), (question, said)
        return list(said["data"]["result"])

    def lines(self) -> dict[str, list[str]]:
        """Lines of this run, by their service and job, in their order."""
        found: dict[str, list[tuple[int, str]]] = {}
        for stream in self.ask(f'{{host="{HOST}", service=~".+"}}'):
            name = f"{stream['stream']['job']}/{stream['stream']['service']}"
            found.setdefault(name, []).extend((int(moment), line) for moment, line in stream["values"])
        return {name: [line for _, line in sorted(lines)] for name, lines in sorted(found.items())}


@pytest.fixture(scope="session")
def genuine(request: pytest.FixtureRequest) -> Asked:
    if url := os.environ.get("CITADELLE_LIVE_LOKI"):
        return Asked(url)
    request.getfixturevalue("shown")
    return Asked("http://127.0.0.1:3100")


@pytest.fixture(scope="session")
def brought(genuine: Asked) -> Iterator[Brought]:
    """What each batch came to, at the genuine one and at the double: the sender's answer, and whether it told of a refusal."""
    told: list[str] = []
    with loki() as double, pytest.MonkeyPatch.context() as patch:
        patch.setattr(way.handover, "report", told.append)
        answers = []
        for url in (genuine.url, f"http://127.0.0.1:{double.port}"):
            sender = way.Loki(f"{url}/loki/api/v1/push", HOST)
            came = {}
            for name, batch in BATCHES.items():
                told.clear()
                came[name] = sender.push(batch), bool(told)
            answers.append(came)
        yield answers[0], answers[1], double


def test_loki_answers_each_batch_as_the_double_does(brought: Brought) -> None:
    genuine, double, _ = brought
    assert genuine == double
    assert {name for name, (_, told) in genuine.items() if told} == {
        "behind what is kept",
        "old",
        "future",
        "no entries",
    }
    assert {answer for answer, _ in genuine.values()} == {""}


NANO = str(time.time_ns())
MINUTE = 60 * 10**9
LABELS = {f"l{number}": "x" for number in range(9)}


def pushed(labels: dict[str, str], moment: Any = NANO, line: str = "x") -> dict[str, Any]:
    return {"stream": {"host": HOST} | labels, "values": [[moment, line]]}


PUSHES: dict[str, list[dict[str, Any]]] = {
    "nothing": [], "no labels": [{"stream": {}, "values": [[NANO, "x"]]}], "no name": [pushed({"a-b": "x"}), pushed({"job": "whole"})],
    "an empty label": [pushed({"job": "raw", "a": ""})], "too many labels": [pushed(LABELS), pushed({"job": "part"})],
    "a number": [pushed({"job": "raw"}, int(NANO))], "no time": [pushed({"job": "raw"}, "yesterday")],
    "microseconds": [pushed({"job": "raw"}, NANO[:16])], "a long line": [pushed({"job": "cut"}, line="a" * 70_000)],
    "nine minutes ahead": [pushed({"job": "near"}, str(int(NANO) + 9 * MINUTE))],
    "eleven minutes ahead": [pushed({"job": "far"}, str(int(NANO) + 11 * MINUTE))],
    "a week less an hour": [pushed({"job": "week"}, str(int(NANO) - 167 * 60 * MINUTE))],
    "a week and an hour": [pushed({"job": "older"}, str(int(NANO) - 169 * 60 * MINUTE))],
}  # fmt: skip


def test_each_push_is_judged_as_the_double_judges_it(genuine: Asked) -> None:
    def status(url: str, streams: list[dict[str, Any]]) -> int:
        body = gzip.compress(json.dumps({"streams": streams}).encode())
        head = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        try:
            with genuine._open(urllib.request.Request(f"{url}/loki/api/v1/push", body, head), timeout=60) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    with loki() as double:
        urls = genuine.url, f"http://127.0.0.1:{double.port}"
        assert {name: status(urls[0], push) for name, push in PUSHES.items()} == {
            name: status(urls[1], push) for name, push in PUSHES.items()
        }
        for job in ("whole", "part", "cut"):
            found = [line for stream in genuine.ask(f'{{job="{job}", host="{HOST}"}}') for _, line in stream["values"]]
            assert found == double.lines(job=job), job


def test_loki_keeps_what_the_double_keeps(genuine: Asked, brought: Brought) -> None:
    kept: dict[str, list[str]] = {}
    for key, entries in brought[2].streams.items():
        labels = dict(key)
        kept.setdefault(f"{labels['job']}/{labels['service']}", []).extend(line for _, line in sorted(entries))
    found = genuine.lines()
    assert found == {name: lines for name, lines in sorted(kept.items()) if lines}
    assert found["audit/gateway"] == AUDIT  # each once, in their order
    assert sorted(found["windows/windows"]) == sorted(WINDOWS)


def test_every_question_of_a_dashboard_is_understood_and_has_an_answer(genuine: Asked, brought: Brought) -> None:
    asked = questions("loki")
    assert len(asked) > 7
    for panel, question in asked:
        for name, value in VARIABLES.items():
            question = question.replace(name, value)
        assert genuine.ask(question), panel


def test_every_sigma_rule_is_understood_and_finds_its_record(genuine: Asked, brought: Brought) -> None:
    found = {question: len(genuine.ask(question)) for question in QUESTIONS}

    def of(text: str) -> int:
        [count] = [count for question, count in found.items() if text in question]
        return count

    assert min(of("answer_cut"), of("key_created"), of("number=1102"), of("number=1116")) > 0
    assert of("number=4732") == 0  # the genuine event is about another group than the administrators
    assert genuine.ask('{job="windows"} | json | number=4732 and data_TargetUserName=`AccountOperators`')


def test_loki_refuses_what_is_no_question(genuine: Asked) -> None:
    """The judgement can fail."""
    assert genuine.get("/loki/api/v1/query_range", query='{job="audit"} | jsn')[0] == 400
    assert genuine.ask('{job="nobody"}') == []


def test_lines_of_a_person_are_erased_on_request(genuine: Asked, brought: Brought) -> None:
    """As docs/privacy.md says; the deletion itself comes with the compactor, hours later."""
    query = f'{{host="{HOST}", job="audit"}} |= "\\"key\\":\\"alice\\""'
    words = urllib.parse.urlencode({"query": query, "start": str(int((NOW - timedelta(hours=1)).timestamp()))})
    request = urllib.request.Request(f"{genuine.url}/loki/api/v1/delete?{words}", method="POST")
    with genuine._open(request, timeout=60) as answer:
        assert answer.status == 204
    status, listed = genuine.get("/loki/api/v1/delete")
    assert status == 200
    assert [one["status"] for one in listed if HOST in one["query"]] == ["received"]
