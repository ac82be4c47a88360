"""Passages: their spans are the text, nothing is lost, none is long."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st
from rag.passages import CHARACTERS, pieces

TEXT = st.lists(
    st.sampled_from(["Un mot. ", "mot ", "x" * 300, "\n\n", "\n", " ", "Fin!\n\n", "été "]), max_size=200
).map("".join)


@settings(max_examples=200, deadline=None)
@given(st.lists(TEXT, max_size=3))
def test_spans_are_the_text_and_nothing_is_lost(pages: list[str]) -> None:
    found = pieces(pages)
    for piece in found:
        assert piece.text == pages[piece.page - 1][piece.start : piece.stop]
        assert piece.text.strip() == piece.text != ""
        assert len(piece.text) <= CHARACTERS
    for number, page in enumerate(pages, start=1):
        covered = set().union(*(range(piece.start, piece.stop) for piece in found if piece.page == number), set())
        assert {place for place, character in enumerate(page) if not character.isspace()} <= covered


def test_a_passage_ends_with_a_paragraph_where_it_can() -> None:
    first, second = "Premier. " * 90, "Second. " * 90
    assert [piece.text for piece in pieces([f"{first}\n\n{second}"])] == [first.strip(), second.strip()]


def test_a_cut_paragraph_repeats_its_last_sentence() -> None:
    found = pieces(["Une phrase assez courte. " * 100])
    assert len(found) > 1
    assert all(after.start < before.stop for before, after in itertools.pairwise(found))
