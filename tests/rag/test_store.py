"""The index: what is stored is found, by those who may see it and by nobody else."""

from __future__ import annotations

import json
import math
import os
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rag import ranking
from rag import reader as reader_module
from rag.ranking import search
from rag.reader import Reader
from rag.store import StoreError, Vectors, Writer

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


def test_what_the_words_of_a_question_tell_is_told_of_a_passage(store: Make) -> None:
    """Of badge, retirer, parking two are in one of two passages, one in none. With a vector it counts thrice, beside nearness."""
    tells = [math.log1p((2 - count + 0.5) / (count + 0.5)) for count in (1, 1, 0)]
    share = sum(tells[:2]) / sum(tells)
    other = "Rien de tel."
    for dimension, vector, sure in ((0, None, share), (4, UNIT[0], 3 * share)):
        vectors = (UNIT[[0]], UNIT[[1]]) if dimension else (None, None)
        texts = (("a.md", "Le badge se retire à l'accueil."), ("b.md", other))
        reader = store(
            *(document(path, text, vectors=row) for (path, text), row in zip(texts, vectors, strict=True)),
            embedder="m" if dimension else "", dimension=dimension,
        )  # fmt: skip
        assert search(reader, "Où retirer un badge de parking ?", ["all"], 5, vector)[0].sure == pytest.approx(sure)


def test_a_word_in_the_title_tells_more_and_a_rare_one_most(store: Make) -> None:
    reader = store(
        document("un.md", "Le serveur et le disque."),
        document("deux.md", "Le serveur et le reste.", title="Disque"),
        document("trois.md", "Le serveur et le serveur."),
        document("quatre.md", "Le serveur et le tampon."),
    )
    paths = [hit.passage.path for hit in search(reader, "serveur disque tampon", ["all"], 5)]
    assert paths == ["quatre.md", "deux.md", "un.md", "trois.md"]


EXPLAINED = "Le délégué à la protection des données (DPO) conseille. Le FCC (Fichier central des chèques) est ailleurs."


def test_what_a_short_form_stands_for_is_looked_for_too(store: Make) -> None:
    """As the documents of the caller explain it, whichever form the question has; an explanation that it may not see counts for nothing."""
    pages = [
        document("long.md", "Qui nomme le délégué à la protection des données ?"),
        document("short.md", "Un DPO externe."),
        document("cheques.md", "Le fichier central contient les chèques."),
    ]
    for groups, found in ((["all"], {"long.md", "short.md"}), (["rh"], {"short.md"})):
        reader = store(*pages, document("explains.md", EXPLAINED, groups))
        seen = {hit.passage.path for hit in search(reader, "DPO", ["all"], 9)}
        assert seen - {"explains.md"} == found
    reader = store(*pages, document("explains.md", EXPLAINED))
    for question in ("protection des données : le délégué", "Le DPO et la protection"):
        assert {"long.md", "short.md"} <= {hit.passage.path for hit in search(reader, question, ["all"], 9)}
    assert next(iter(search(reader, "FCC", ["all"], 9))).passage.path == "explains.md"
    assert "cheques.md" in {hit.passage.path for hit in search(reader, "fcc", ["all"], 9)}


def test_a_document_of_no_group_is_seen_by_nobody(store: Make) -> None:
    reader = store(document("secret.md", "Le code est zébulon.", groups=()))
    for groups in ([], ["all"], [""], ["%"], ["*"]):
        assert search(reader, "zébulon", groups, 5) == []


OPEN = settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
NOTHING = np.zeros(0, np.int64)
AUDIENCE = st.frozensets(st.sampled_from(GROUPS))


TEXTS = ("secret", "secret code", "code oublié 2 (CO2)", "CO2 secret secret")


def written(path: Path, audiences: list[tuple[int, frozenset[str]]], near: bool) -> Reader:
    """An index of a document for each of these numbers and audiences."""
    writer = Writer(path, "m" if near else "", 4 if near else 0)
    for number, groups in audiences:
        writer.add(document(f"{number}", TEXTS[number % 4], groups, vectors=UNIT[[number % 3]] if near else None))
    writer.close()
    return Reader(path)


@pytest.mark.lab
@OPEN
@given(
    st.lists(AUDIENCE, min_size=1, max_size=12),
    st.lists(AUDIENCE, min_size=4, max_size=4),
    st.booleans(),
    st.booleans(),
)
def test_no_foreign_passage_is_ever_returned(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    audiences: list[frozenset[str]],
    asking: list[frozenset[str]],
    near: bool,
    many: bool,
) -> None:
    """1,000 askers over 250 random sets: what comes shares a group with the asker, all of it, ordered as if there were nothing else."""
    monkeypatch.setattr(
        reader_module, "_MANY", 0 if many else 32
    )  # both statements: by stretches, and each passage looked up
    reader = written(tmp_path / "index.sqlite", list(enumerate(audiences)), near)
    vector = UNIT[0] if near else None
    for groups in asking:
        may = {str(number) for number, audience in enumerate(audiences) if audience & groups}
        hits = search(reader, "secret CO2", groups, 100, vector)
        assert {hit.passage.path for hit in hits} == (may if near else {path for path in may if path_has(path)})
        assert {found.path for found in reader.texts(range(1, len(audiences) + 1), groups)} == may
        ids = reader.nearest(UNIT[0], groups, NOTHING).ids if near else NOTHING
        assert {str(number - 1) for number in ids} == (may if near else set())
    mine = [(number, audience) for number, audience in enumerate(audiences) if audience & asking[0]]
    alone = written(tmp_path / "alone.sqlite", mine, near)
    assert told(reader, asking[0], vector) == told(alone, asking[0], vector)
    alone.close()
    reader.close()


def told(reader: Reader, groups: frozenset[str], vector: Vectors | None) -> list[tuple[str, float, float]]:
    """All that an asker learns; how sure a nearness is, is in spreads of the whole index."""
    hits = search(reader, "secret CO2", groups, 100, vector)
    return [(hit.passage.path, hit.score, hit.sure if vector is None else 0.0) for hit in hits]


def path_has(path: str) -> bool:
    """Whether the text of this document has a word of the question."""
    return any(word in TEXTS[int(path) % 4].lower() for word in ("secret", "co2"))


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
    monkeypatch.setattr(ranking, "_ROWS", 4)
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
    """Seen by SQLite's own trace: no statement counts, finds or gives passages and leaves the groups to somebody later."""
    reader = store(document("a.md", EXPLAINED, ["rh"], vectors=UNIT[[0]]), embedder="m", dimension=4)
    seen: list[str] = []
    reader._base.set_trace_callback(seen.append)
    assert search(reader, "DPO texte", ["rh"], 5)
    assert search(reader, "DPO texte", ["rh"], 5, UNIT[0])
    own = ("--", "PRAGMA 'main'.data_version", "SELECT k, v FROM 'main'.")  # FTS5's, on its tables
    asked = [statement for statement in seen if not statement.startswith(own)]
    assert len(asked) >= 10
    assert all("audiences WHERE name IN" in statement and json.dumps(["rh"]) in statement for statement in asked)
    assert {name for name in ("words MATCH", "stems MATCH", "abbreviations") if any(name in one for one in asked)} == {
        "words MATCH", "stems MATCH", "abbreviations",
    }  # fmt: skip


def test_an_index_of_the_first_form_is_served_on(store: Make, tmp_path: Path) -> None:
    """It has all but the abbreviations; another form than these is named, with the cure."""
    store(document("a.md", EXPLAINED), document("b.md", "Un délégué.")).close()
    base = sqlite3.connect(tmp_path / "index.sqlite")
    base.executescript("UPDATE meta SET value = '1' WHERE name = 'format'; DROP TABLE abbreviations;")
    reader = Reader(tmp_path / "index.sqlite")
    assert [hit.passage.path for hit in search(reader, "DPO", ["all"], 5)] == ["a.md"]
    base.executescript("UPDATE meta SET value = '3' WHERE name = 'format'")
    with pytest.raises(StoreError, match="of another form: 3, wanted 2: ingest the documents again"):
        Reader(tmp_path / "index.sqlite")
    base.close()
