"""Nearest vectors: of few all, of many those that come into question, and no other than asked for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from rag import near
from rag.near import Near

from tests.rag.conftest import Make, document

NOTHING = np.zeros(0, np.int64)
DIMENSION = 320


@pytest.fixture(scope="module")
def many() -> Iterator[tuple[Near, np.ndarray]]:
    """A stand-in for a model's vectors: a few axes hold most of what differs, all point one way. And questions near some of them."""
    chance = np.random.default_rng(1)
    spread = np.arange(1, DIMENSION + 1, dtype=np.float32) ** -0.5
    rows = chance.standard_normal((4000, DIMENSION), np.float32) * spread + 2
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    noise = chance.standard_normal((100, DIMENSION), np.float32) * spread / 50
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near, "_WHOLE", 500_000)
        patch.setattr(near, "_CANDIDATES", 250)
        yield Near(rows), rows[:100] + noise


def test_the_ten_nearest_of_many_are_those_of_all(many: tuple[Near, np.ndarray]) -> None:
    """For 99 of 100 questions, of all passages and of two stretches of them, among one in sixteen; the spread is near enough."""
    store, asked = many
    assert len(store._axes) == 128
    for spans in ([(1, 4000)], [(100, 2100), (2500, 3999)]):
        ids = np.concatenate([np.arange(first, last + 1) for first, last in spans])
        whole = asked @ store.rows[ids - 1].T
        found = [store.nearest(vector, spans, NOTHING) for vector in asked]
        assert all(len(one.ids) == 250 and np.isin(one.ids, ids).all() for one in found)
        same = [
            np.allclose(np.sort(one.products)[-10:], np.sort(row)[-10:], rtol=0, atol=1e-6)
            for one, row in zip(found, whole, strict=True)
        ]
        assert np.mean(same) >= 0.99
        standard = (whole.max(1) - whole.mean(1)) / whole.std(1)
        assert np.allclose([one.standard().max() for one in found], standard, rtol=0.1)


def test_what_words_have_found_is_compared_too(many: tuple[Near, np.ndarray]) -> None:
    store, asked = many
    far = np.argsort(store.rows @ asked[0])[:3] + 1
    found = store.nearest(asked[0], [(1, 4000)], far)
    assert set(far) <= set(found.ids)
    assert np.allclose(found.products, store.rows[found.ids - 1] @ asked[0])


def test_of_few_all_are_compared(many: tuple[Near, np.ndarray]) -> None:
    store, asked = many
    found = store.nearest(asked[0], [(5, 900)], NOTHING)
    assert found.ids.tolist() == list(range(5, 901))
    assert store.nearest(asked[0], [], NOTHING).ids.size == 0


def test_how_near_documents_are_to_the_nearest_of_another_is_usual() -> None:
    """Eight documents in pairs of neighbours; pieces of one document, which are the same, do not count. Of seven nothing is told."""
    angles = np.repeat(np.arange(4), 2) * np.pi / 8 + np.tile([0.0, 0.1], 4)
    rows = np.repeat(np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32), 2, axis=0)
    documents = [(number, number + 1) for number in range(1, 17, 2)]
    mean, spread = Near(rows).usual(documents) or (0, 0)
    assert mean == pytest.approx(np.cos(0.1))
    assert spread < 1e-6
    assert Near(rows).usual(documents[:7]) is None


def test_nearness_is_the_same_for_a_model_whose_cosines_are_all_high(store: Make) -> None:
    """As E5's are: all vectors have half of them in common. Of few documents nothing is far."""
    chance, found = np.random.default_rng(2), []
    plain = chance.standard_normal((20, 16), np.float32)
    plain /= np.linalg.norm(plain, axis=1, keepdims=True)
    for unit in (plain, np.concatenate([plain, np.ones((20, 1), np.float32)], axis=1) / np.sqrt(np.float32(2))):
        pages = [document(f"{number}.md", "texte", vectors=2 * unit[[number]]) for number in range(20)]
        reader = store(*pages, embedder="m", dimension=unit.shape[1])
        found.append(reader.nearness(2 * unit @ unit[0]))
        few = store(*pages[:7], embedder="m", dimension=unit.shape[1])
        assert not few.nearness(few.nearest(unit[0], ["all"], NOTHING).products).any()
    assert np.allclose(*found, atol=1e-3)
    assert found[0].argmax() == 0
