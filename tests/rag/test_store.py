"""The index: what is stored is found, by those who may see it and by nobody else."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rag import store as store_module
from rag.ranking import search
from rag.store import Document, Reader, StoreError, Writer

from tests.rag.conftest import Make, document

GROUPS = ("rh", "direction", "ventes", "juridique", "tous")
UNIT = np.eye(4, dtype=np.float32)


def test_a_passage_is_found_by_its_words_its_stems_and_its_title(store: Make) -> None:
    reader = store(
        document("conges.md", "Chaque salarié dispose de 25 jours ouvrés.", title="Congés payés"),
        document("vpn.md", "Install the client and enter the token.", title="VPN access"),
    )
    for text, path in (
        ("jour ouvre", "conges.md"),
        ("salariés", "conges.md"),
        ("congé", "conges.md"),
        ("accessing a VPN", "vpn.md"),
    ):
        assert [hit.passage.path for hit in search(reader, text, ["all"], 5)][:1] == [path], text
    assert search(reader, "bicyclette", ["all"], 5) == []


def test_the_share_of_the_question_is_told(store: Make) -> None:
    """Of badge, retirer, parking two are there: all that is known without a vector; with one a tenth of it is added to the nearness."""
    asked = "Où retirer un badge de parking ?"
    page = document("a.md", "Le badge se retire à l'accueil.", vectors=UNIT[[0]])
    for dimension, vector, sure in ((0, None, 2 / 3), (4, UNIT[0], 0.5 + 2 / 30)):
        made = page if dimension else document("a.md", "Le badge se retire à l'accueil.")
        reader = store(made, embedder="m" if dimension else "", dimension=dimension)
        [hit] = search(reader, asked, ["all"], 5, vector)
        assert hit.sure == pytest.approx(sure)


def test_a_document_of_no_group_is_seen_by_nobody(store: Make) -> None:
    reader = store(document("secret.md", "Le code est zébulon.", groups=()))
    for groups in ([], ["all"], [""], ["%"], ["*"]):
        assert search(reader, "zébulon", groups, 5) == []


OPEN = settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
AUDIENCE = st.frozensets(st.sampled_from(GROUPS))


@pytest.mark.lab
@OPEN
@given(st.lists(AUDIENCE, min_size=1, max_size=12), st.lists(AUDIENCE, min_size=4, max_size=4), st.booleans())
def test_no_foreign_passage_is_ever_returned(
    tmp_path: Path, audiences: list[frozenset[str]], asking: list[frozenset[str]], near: bool
) -> None:
    """1,000 askers over 250 random sets: what comes is exactly what shares a group with the asker."""
    writer = Writer(tmp_path / "index.sqlite", "m" if near else "", 4 if near else 0)
    for number, groups in enumerate(audiences):
        one = document(f"{number}", f"secret numero{number}", groups)
        vectors = UNIT[[number % 4]] if near else None
        writer.add(Document(one.path, one.title, one.sha256, one.language, one.groups, one.pieces, vectors))
    writer.close()
    reader = Reader(tmp_path / "index.sqlite")
    everything = list(range(1, len(audiences) + 1))
    for groups in asking:
        may = {str(number) for number, audience in enumerate(audiences) if audience & groups}
        hits = search(reader, "secret", groups, 100, UNIT[0] if near else None)
        assert {hit.passage.path for hit in hits} == may
        assert {found.path for found in reader.texts(everything, groups)} == may
        ids, _ = reader.nearness(UNIT[0], groups) if near else (np.array([]), None)
        assert {str(number - 1) for number in ids} == (may if near else set())
    reader.close()


def test_the_nearest_leads_and_words_add_to_it(store: Make) -> None:
    pages = [
        document(name, f"texte {name}", vectors=UNIT[[place]])
        for place, name in enumerate(("un", "deux", "trois", "quatre"))
    ]
    reader = store(*pages, embedder="m", dimension=4)
    assert next(hit.passage.path for hit in search(reader, "rien", ["all"], 4, UNIT[2])) == "trois"
    between = (UNIT[0] + UNIT[1]) / np.sqrt(np.float32(2))
    assert [hit.passage.path for hit in search(reader, "deux", ["all"], 2, between)] == ["deux", "un"]


def test_a_word_of_nearly_every_passage_is_not_looked_up_beside_rare_ones(
    store: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But alone it is. What is rare is found all the same, wherever the common word stands in the question."""
    monkeypatch.setattr(store_module, "_ROWS", 4)
    reader = store(*[document(f"{number}.md", f"serveur numero{number}") for number in range(9)])
    assert [hit.passage.path for hit in search(reader, "serveur numero7", ["all"], 9)] == ["7.md"]
    assert [hit.passage.path for hit in search(reader, "numero7 du serveur numero3", ["all"], 9)] == ["3.md", "7.md"]
    assert len(search(reader, "serveur", ["all"], 9)) == 9


def test_a_vector_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "index.sqlite", "m", 4)
    with pytest.raises(StoreError, match=r"a\.md: vectors of another shape: None, wanted \(1, 4\)"):
        writer.add(document("a.md", "texte"))


def test_a_file_that_is_no_index_is_named(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    for content in (b"", b"SQLite format 3\0", os.urandom(5000)):
        path.write_bytes(content)
        with pytest.raises(StoreError, match=rf"{path}: (no index|an index of another form)"):
            Reader(path)


def test_an_index_that_is_not_whole_is_refused(store: Make, tmp_path: Path) -> None:
    store(document("a.md", "texte", vectors=UNIT[[0]]), embedder="m", dimension=4).close()
    base = sqlite3.connect(tmp_path / "index.sqlite")
    base.execute("DELETE FROM vectors")
    base.commit()
    base.close()
    with pytest.raises(StoreError, match="not whole: 0 vectors for 1 passages"):
        Reader(tmp_path / "index.sqlite")


def test_reading_writes_nothing(store: Make, tmp_path: Path) -> None:
    reader = store(document("a.md", "texte"))
    before = (tmp_path / "index.sqlite").read_bytes()
    (tmp_path / "index.sqlite").chmod(0o400)
    tmp_path.chmod(0o500)
    try:
        search(reader, "texte", ["all"], 5)
        assert os.listdir(tmp_path) == ["index.sqlite"]
    finally:
        tmp_path.chmod(0o700)
    assert (tmp_path / "index.sqlite").read_bytes() == before


def test_both_word_indexes_are_read_with_the_groups_inside_the_statement(store: Make) -> None:
    """Seen by SQLite's own trace: no statement gives ids of passages and leaves the groups to somebody later; a count gives none."""
    reader = store(document("a.md", "texte commun", ["rh"]))
    seen: list[str] = []
    reader._base.set_trace_callback(seen.append)
    search(reader, "texte", ["rh"], 5)
    given = [statement for statement in seen if not statement.startswith("SELECT count(*)")]
    ranked = [statement for statement in given if "MATCH" in statement or "FROM passages" in statement]
    assert len(ranked) >= 4
    assert all("audiences WHERE name IN" in statement and json.dumps(["rh"]) in statement for statement in ranked)
