"""Small products against those of NumPy, in any order in memory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba")

from whet.models.tiles import WIDTH, multiply, transpose


def random(*shape: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def product(a: np.ndarray, b: np.ndarray, into: np.ndarray, factor: float = 1.0, add: int = 0) -> np.ndarray:
    """`into`, with what `multiply` makes of `a` and `b` as they lie."""
    (row, step), (b_row, _) = (tuple(stride // 4 for stride in x.strides) for x in (a, b))
    sizes = len(a), b.shape[1], len(b)
    multiply(
        into.ctypes.data, into.strides[0] // 4, a.ctypes.data, row, step, b.ctypes.data, b_row, *sizes, factor, add
    )
    return into


@given(
    rows=st.integers(1, 21),
    columns=st.integers(1, 75),
    terms=st.integers(1, 40),
    factor=st.sampled_from([1.0, -0.5]),
    add=st.sampled_from([0, 1]),
    across=st.booleans(),
)
@settings(deadline=None, max_examples=300)
def test_it_is_the_product(rows: int, columns: int, terms: int, factor: float, add: int, across: bool) -> None:
    a = random(terms, rows, seed=1).T if across else random(rows, terms, seed=1)
    b, before = random(terms, columns, seed=2), random(rows + 2, columns + 3, seed=3)
    room = before.copy()
    found = product(a, b, room[1:-1, 1:-2], factor, add)
    wanted = factor * (a.astype(np.float64) @ b) + add * before[1:-1, 1:-2]
    np.testing.assert_allclose(found, wanted, atol=1e-4, rtol=1e-5)
    room[1:-1, 1:-2] = before[1:-1, 1:-2]
    assert np.array_equal(room, before)  # nothing beside it was written


@given(rows=st.integers(1, 21), columns=st.integers(1, 75), first=st.integers(0, 20))
@settings(deadline=None)
def test_a_row_does_not_depend_on_those_beside_it(rows: int, columns: int, first: int) -> None:
    a, b = random(21, 50, seed=1), random(50, columns, seed=2)
    whole = product(a, b, np.empty((21, columns), np.float32))
    part = a[first : first + rows]
    assert np.array_equal(product(part, b, np.empty((len(part), columns), np.float32)), whole[first : first + rows])


def test_without_terms_there_is_nothing_to_add() -> None:
    into = random(3, 20, seed=1)
    assert np.array_equal(product(random(3, 0, seed=1), random(0, 20, seed=1), into.copy(), add=1), into)


@given(registers=st.integers(0, 4), columns=st.integers(1, 75), beyond=st.integers(0, 5))
@settings(deadline=None)
def test_columns_become_rows(registers: int, columns: int, beyond: int) -> None:
    rows = registers * WIDTH
    a, turned = random(rows, columns, seed=1), np.zeros((columns, rows + beyond), np.float32)
    transpose(a.ctypes.data, rows, columns, turned.ctypes.data, rows + beyond)
    assert np.array_equal(turned[:, :rows], a.T)
    assert not turned[:, rows:].any()
