"""The service over an index: passages with where they stand, an index that takes another's place, one that is broken."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from rag.store import Writer

from tests.rag.conftest import document
from tests.rag.test_search import ask, running, search

UNIT = np.eye(4, dtype=np.float32)


def lay(place: Path, *texts: str, embedder: str = "") -> None:
    """An index of these texts, each a document of the group `tous`, put where the service looks in one step."""
    fresh = place.with_name("fresh")
    writer = Writer(fresh, embedder, 4 if embedder else 0)
    for number, text in enumerate(texts):
        vectors = UNIT[[number]] if embedder else None
        writer.add(document(f"{number}.txt", text, ["tous"], title=f"Titre {number}", vectors=vectors))
    writer.close()
    fresh.replace(place.with_name("index.sqlite"))


def found(place: Path, text: str, **query: object) -> list[str]:
    status, answer = search(place, query=text, **query)
    assert status == 200, answer
    return [passage["path"] for passage in answer["passages"]]  # type: ignore[attr-defined]


def test_a_passage_says_where_it_stands(tmp_path: Path) -> None:
    place = tmp_path / "rag.sock"
    lay(place, "Le badge ouvre le garage.")
    with running(place):
        _, answer = search(place, query="badge du garage", groups=["tous"])
        status = ask(place, "GET", "/status")
    assert answer == {
        "passages": [
            {
                "id": "p1", "title": "Titre 0", "text": "Le badge ouvre le garage.", "path": "0.txt", "page": 1, "start": 0, "stop": 25,
                "sure": 1.0,
            }
        ],
        "by": "words",
    }  # fmt: skip
    assert status == (200, {"documents": 1, "passages": 1, "embedder": "", "dimension": 0})


def test_without_a_group_nothing_comes(tmp_path: Path) -> None:
    place = tmp_path / "rag.sock"
    lay(place, "Le badge ouvre le garage.")
    with running(place):
        assert [found(place, "badge", groups=groups) for groups in ([], ["rh"], ["tous"])] == [[], [], ["0.txt"]]
        assert found(place, "badge") == []


def test_a_new_index_is_served_from_the_next_question_on(tmp_path: Path) -> None:
    place = tmp_path / "rag.sock"
    lay(place, "Le badge ouvre le garage.")
    with running(place):
        assert found(place, "velo", groups=["tous"]) == []
        lay(place, "Le badge.", "Le vélo.")
        assert found(place, "velo", groups=["tous"]) == ["1.txt"]
        place.with_name("index.sqlite").unlink()
        assert found(place, "velo", groups=["tous"]) == []


def test_vectors_are_used_and_those_of_another_model_or_length_are_not(tmp_path: Path) -> None:
    place = tmp_path / "rag.sock"
    lay(place, "un", "deux", "trois", embedder="m@sha256:1")
    asked: dict[str, object] = {"query": "rien", "groups": ["tous"], "vector": [0.0, 0.0, 9.0, 0.0], "limit": 1}
    with running(place):
        _, answer = search(place, **asked, embedder="m@sha256:1")
        assert [(one["path"], one["sure"], answer["by"]) for one in answer["passages"]] == [("2.txt", 0.0, "vectors")]  # type: ignore[attr-defined]
        for other in ("m@sha256:2", "m", ""):
            assert search(place, **asked, embedder=other) == (200, {"passages": [], "by": "words"})
        wrong = asked | {"vector": [1.0], "embedder": "m@sha256:1"}
        assert search(place, **wrong) == (400, {"error": "wrong_vector"})
        assert ask(place, "GET", "/status")[1]["embedder"] == "m@sha256:1"


def test_a_broken_index_is_no_empty_one(tmp_path: Path) -> None:
    place = tmp_path / "rag.sock"
    place.with_name("index.sqlite").write_bytes(os.urandom(9000))
    with running(place, until=503):
        assert search(place, query="badge", groups=["tous"]) == (503, {"error": "index_broken"})
        assert ask(place, "GET", "/healthz") == (503, {"error": "index_broken"})
        lay(place, "Le badge.")
        assert found(place, "badge", groups=["tous"]) == ["0.txt"]
        assert ask(place, "GET", "/healthz")[0] == 200
