"""Short forms and what a text says that they stand for."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rag.abbreviations import found


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("Le délégué à la protection des données (DPO) est nommé.", [("DPO", "délégué à la protection des données")]),
        ("Le règlement européen (DPO) est nommé.", []),
        ("La commission d'accès aux documents (CAD) répond.", [("CAD", "commission d'accès aux documents")]),
        ("Le FCC (Fichier central des chèques), c'est quoi ?", [("FCC", "Fichier central des chèques")]),
        ("Hypertext Transfer Protocol (HTTP)", [("HTTP", "Hypertext Transfer Protocol")]),
        ("a mail transfer agent (MTA), a Pre-shared key (PSK)", [("MTA", "mail transfer agent"), ("PSK", "Pre-shared key")]),
        ("la loi (voir plus haut), (2024), (A), (iPhone) et (ABC)", []),
        ("HTTP (the protocol of the web)", []),
        ("", []),
    ],
)  # fmt: skip
def test_explanations_of_a_text(text: str, pairs: list[tuple[str, str]]) -> None:
    assert list(found(text)) == pairs


@settings(deadline=None)
@given(st.text(alphabet="Aa B(b)1-.é", max_size=60))
def test_a_long_form_is_in_the_text_and_has_the_letters_of_the_short_one(text: str) -> None:
    for short, long in found(text):
        assert short in text
        assert " ".join(long.split()) in " ".join(text.split())
        rest = iter(long.casefold())
        assert all(letter in rest for letter in short.casefold() if letter.isalnum())
        assert long[0].casefold() == short[0].casefold()
