"""Nearest vectors: of few all, of many those that come into question, and no other than asked for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from rag import near
from rag.near import Near

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
