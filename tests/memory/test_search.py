"""Nearest neighbours against a full sort in float64, and the uniformity of the sample."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whet.errors import EmptyMemoryError, InputError
from whet.memory.search import nearest, uniform


def _unit(generator: np.random.Generator, rows: int, dimension: int) -> np.ndarray:
    vectors = generator.normal(size=(rows, dimension))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@settings(deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 60),
    st.integers(2, 9),
    st.integers(1, 70),
    st.booleans(),
    st.sets(st.integers(0, 59)),
)
def test_nearest_is_a_stable_sort_by_cosine(
    seed: int, rows: int, dimension: int, k: int, repeated: bool, barred: set[int]
) -> None:
    generator = np.random.default_rng(seed)
    matrix = _unit(generator, rows, dimension)
    if repeated:
        matrix = matrix[generator.integers(0, 1 + rows // 4, size=rows)]
    query = _unit(generator, 1, dimension)[0]
    ids = [f"id{row}" for row in range(rows)]
    cosines = [float(np.sum(matrix[row].astype(np.float64) * query)) for row in range(rows)]
    expected = [row for row in sorted(range(rows), key=lambda row: (-cosines[row], row)) if row not in barred][:k]
    exclude = {f"id{row}" for row in barred}
    if not expected:
        with pytest.raises(EmptyMemoryError, match=f"all {rows} examples"):
            nearest(ids, matrix, query, k, exclude)
        return
    found = nearest(ids, matrix, query, k, exclude)
    assert found.ids == tuple(ids[row] for row in expected)
    np.testing.assert_array_equal(found.vectors, matrix[expected])
    np.testing.assert_allclose(found.similarities, [cosines[row] for row in expected], atol=1e-7)
    np.testing.assert_array_equal(found.query, query)


def test_equal_rows_keep_their_order_wherever_they_stand() -> None:
    generator = np.random.default_rng(0)
    query, row = _unit(generator, 2, 384)
    matrix = np.tile(row, (1003, 1))
    found = nearest([str(n) for n in range(1003)], matrix, query, 50)
    assert found.ids == tuple(str(n) for n in range(50))
    assert len(set(found.similarities.tolist())) == 1


def test_uniform_draws_every_example_equally_often_and_none_twice() -> None:
    generator = np.random.default_rng(1)
    matrix, ids = _unit(generator, 10, 4), list("abcdefghij")
    counts = dict.fromkeys(ids, 0)
    firsts = dict.fromkeys(ids, 0)
    for seed in range(3000):
        found = uniform(ids, matrix, matrix[0], 3, seed, exclude={"a", "nowhere"})
        assert len(set(found.ids)) == 3
        firsts[found.ids[0]] += 1
        for id in found.ids:
            counts[id] += 1
    assert counts.pop("a") == 0
    assert firsts.pop("a") == 0
    # Standard deviations are 26 and 17.
    assert all(abs(count - 1000) < 110 for count in counts.values())
    assert all(abs(count - 333) < 75 for count in firsts.values())


def test_uniform_is_fixed_by_its_seed_and_says_the_similarities() -> None:
    matrix = _unit(np.random.default_rng(2), 20, 4)
    ids = [str(n) for n in range(20)]
    one, two = (uniform(ids, matrix, matrix[5], 100, 7) for _ in range(2))
    assert one.ids == two.ids
    assert sorted(one.ids) == sorted(ids)
    rows = [int(id) for id in one.ids]
    np.testing.assert_allclose(one.similarities, matrix[rows] @ matrix[5], atol=1e-6)


@pytest.mark.parametrize("k", [0, -3])
def test_asking_for_nothing_is_refused(k: int) -> None:
    matrix = _unit(np.random.default_rng(3), 2, 4)
    with pytest.raises(InputError, match=f"k={k}"):
        nearest(["a", "b"], matrix, matrix[0], k)
    with pytest.raises(InputError, match=f"k={k}"):
        uniform(["a", "b"], matrix, matrix[0], k, 0)


def test_an_empty_memory_says_how_to_fill_it() -> None:
    nothing = np.empty((0, 4), np.float32)
    with pytest.raises(EmptyMemoryError, match=r"empty.*whet index"):
        nearest([], nothing, np.ones(4, np.float32) / 2, 3)
