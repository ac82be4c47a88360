"""A question is words and nothing else: whatever stands in it, it finds or finds nothing, and never fails, writes or is quoted."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rag import reader as reader_module
from rag.app import App
from rag.ranking import search
from rag.reader import Reader
from rag.search import Index, Query

from tests.rag.conftest import Make, document
from tests.rag.test_service import lay

UNIT = np.eye(4, dtype=np.float32)


@pytest.mark.parametrize("many", [True, False])
def test_words_that_the_index_cuts_are_asked_for_as_it_cuts_them(
    store: Make, monkeypatch: pytest.MonkeyPatch, many: bool
) -> None:
    """Names of programs, short forms with points, a script that Python and FTS5 know otherwise: found or not, never a failure."""
    monkeypatch.setattr(reader_module, "_MANY", 0 if many else 32)
    reader = store(
        document("a.md", "Le réglage max_tokens borne la réponse."),
        document("b.md", "La société nationale des chemins de fer (S.N.C.F.) et la recherche et développement (R&D)."),
        document("c.md", "Un billet de la SNCF."),
    )
    asked = {
        "que fait max_tokens ?": ["a.md"], "__init__ max_token_s": ["a.md"], "société nationale chemins de fer": ["b.md", "c.md"],
        "recherche et développement": ["b.md"], "R&D": [], "z\u19b0z réglage": ["a.md"], "z\u19b0z": [],
    }  # fmt: skip
    assert {text: [hit.passage.path for hit in search(reader, text, ["all"], 5)] for text in asked} == asked


def test_an_index_with_short_forms_of_another_kind_is_asked_too(store: Make) -> None:
    """As one was written before: with the signs between the letters."""
    reader = store(document("b.md", "La recherche et développement (R&D)."))
    reader._base.executescript("CREATE TEMP TABLE abbreviations(word TEXT, short TEXT, long TEXT, audience, times)")
    for word in ("r&d", "developp", "recherch"):
        values = (word, "r&d", "recherche developpement")
        reader._base.execute("INSERT INTO temp.abbreviations VALUES(?, ?, ?, 1, 1)", values)
    assert [hit.passage.path for hit in search(reader, "recherche et développement", ["all"], 5)] == ["b.md"]


SIGNS = [
    '"', '""', "*", "^", "-", "(", ")", ":", "NEAR(", "AND", "OR", "NOT", "text :", "title", "rowid", "'", ";", "--", "%", "_", "\\", "\0",
    "\u200b", "\u202e", "\ufb01", "\u2167", "²", "½", "ß", "İ", "漢字", "العربية", "हिन्दी", "\U0001f642", "\ufeff", "\uffff",
    "\U0010ffff", "\u19b0", "\ufdfa", "l'", "C++", "R&D", "a_b", "code", "secret", "x" * 500, " ", " ", " ",
]  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(SIGNS) | st.characters(codec="utf-8"), max_size=20).map("".join))
def test_no_question_is_a_statement(tmp_path: Path, text: str) -> None:
    if not (tmp_path / "index.sqlite").exists():
        lay(tmp_path / "rag.sock", "Un code secret.", "a_b deux", embedder="m")
    reader = Reader(tmp_path / "index.sqlite")
    for vector in (None, UNIT[0]):
        assert {hit.passage.path for hit in search(reader, text, ["tous"], 5, vector)} <= {"0.txt", "1.txt"}
        assert search(reader, text, ["rh"], 5, vector) == []
    reader.close()


@pytest.mark.parametrize("number", [1e308, -1e308, 1e39, 1e-320, 0.0])
def test_a_vector_of_numbers_beyond_reason_breaks_nothing(tmp_path: Path, number: float) -> None:
    lay(tmp_path / "rag.sock", "un", "deux", embedder="m")
    query = Query(query="un", groups=["tous"], vector=[number] * 4, embedder="m")
    found = Index(tmp_path / "index.sqlite").search(query).passages
    assert len(found) == 2
    assert all(np.isfinite(passage.sure) for passage in found)


def test_a_failure_quotes_nothing_of_the_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sent: list[Any] = []

    def fails(_index: Index, query: Query) -> None:
        raise RuntimeError(query.query)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b'{"query": "canary5c1e9a"}'}

    async def send(message: Any) -> None:
        sent.append(message)

    monkeypatch.setattr(Index, "search", fails)
    scope = {"type": "http", "method": "POST", "raw_path": b"/search"}
    asyncio.run(App(Index(tmp_path / "index.sqlite"))(scope, receive, send))
    assert (sent[0]["status"], sent[1]["body"]) == (500, b'{"error":"failed"}')
    assert capsys.readouterr().err == "rag: failure: RuntimeError\n"
