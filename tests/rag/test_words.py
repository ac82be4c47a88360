"""Folding, stems, languages, and that no question is syntax."""

import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rag import words
from rag.reader import any_of


def test_accents_ligatures_and_forms_are_folded() -> None:
    assert words.tokens("L'Œuvre d’été N°5, ça coûte 3 €") == ["oeuvre", "ete", "5", "ca", "coute", "3"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Quels sont les jours de congé pour les employés ?", "fr"),
        ("How many days of leave does an employee have?", "en"),
        ("", "fr"),
        ("42", "fr"),
    ],
)
def test_the_language_is_told_by_common_words(text: str, name: str) -> None:
    assert words.language(text) == name


def test_forms_of_a_word_meet_in_its_stem() -> None:
    assert (
        words.stems("remboursement remboursements", "fr").split()[0]
        == words.stems("remboursement remboursements", "fr").split()[1]
    )
    assert words.stem("holidays", "en") == words.stem("holiday", "en")


def test_a_question_of_common_words_keeps_them() -> None:
    assert words.question("Qui est-ce que c'est ?") != []
    assert words.question("Combien de jours de congé ?") == ["jours", "conge"]


@settings(deadline=None)
@given(st.text(max_size=200))
def test_no_text_is_syntax(text: str) -> None:
    base = sqlite3.connect(":memory:")
    base.execute("CREATE VIRTUAL TABLE found USING fts5(text, content='', tokenize='unicode61 remove_diacritics 2')")
    asked = words.question(text)
    for terms in (asked, [stem for word in asked for stem in words.both_stems(word)]):
        if terms:
            base.execute("SELECT rowid FROM found WHERE found MATCH ?", (any_of(terms),)).fetchall()
    base.close()
