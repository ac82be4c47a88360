"""What rag says of itself: figures are taken from it by their names, and whatever else it says is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from citadelle import textfile
from citadelle.observability import documents, metrics

GOOD = {
    "ready": True, "documents": 3, "passages": 40, "index": 1795880821.5,
    "questions": {"vectors": 5, "words": 2, "refused": 1, "failed": 0}, "seconds": 0.25,
}  # fmt: skip


def health(*said: tuple[int, str]) -> dict[str, Any]:
    """As `docker container inspect` gives it."""
    return {"Status": "healthy", "Log": [{"ExitCode": code, "Output": output} for code, output in said]}


def ready(**other: Any) -> tuple[int, str]:
    return 0, f"ready {json.dumps(GOOD | other)}\n"


def test_the_newest_good_word_counts() -> None:
    found = list(documents.samples(health(ready(documents=1), ready(), (1, "no answer\n"), (0, "ready\n"))))
    assert {line for line in textfile.text(found, documents.TEXTS).splitlines() if line[0] != "#"} == {
        "citadelle_rag_documents 3",
        "citadelle_rag_passages 40",
        "citadelle_rag_index_timestamp_seconds 1795880821.5",
        'citadelle_rag_questions_total{outcome="vectors"} 5',
        'citadelle_rag_questions_total{outcome="words"} 2',
        'citadelle_rag_questions_total{outcome="refused"} 1',
        'citadelle_rag_questions_total{outcome="failed"} 0',
        "citadelle_rag_seconds_total 0.25",
    }


@pytest.mark.parametrize("found", [{}, {"Log": None}, health(), health((1, "index_broken\n"))])
def test_without_a_word_there_is_no_figure(found: dict[str, Any]) -> None:
    assert list(documents.samples(found)) == []


@pytest.mark.parametrize(
    "said",
    [
        ready(documents="3"), ready(documents=-1), ready(passages=True), ready(index=float("nan")), ready(index=float("inf")),
        ready(seconds=1 << 60), ready(questions={}), ready(questions=[]), ready(documents={"a": 1}), ready(documents=None),
        (0, "ready {"), (0, "ready []"), (0, 'ready "a"'), (0, "ready " + "[" * 4000), (0, "ready 1\ncitadelle_audit_valid 1"),
    ],
)  # fmt: skip
def test_what_is_no_figure_is_refused_and_takes_nothing_else_along(
    said: tuple[int, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = {"Config": {"Labels": {"com.docker.compose.service": "rag"}}, "State": {"Health": health(said)}}
    monkeypatch.setattr(metrics, "inspected", lambda: (["running"], [one]))
    assert list(metrics.looked({"rag": metrics.rag})) == [("citadelle_probe_ok", {"probe": "rag"}, 0)]
    assert capsys.readouterr().err.startswith("rag cannot be measured: ")


def test_where_no_rag_runs_there_is_nothing_to_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "inspected", lambda: ([], []))
    assert list(metrics.rag()) == []
