"""Softmax of rows against NumPy in float64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("numba")

from whet.models import softmax
from whet.models.tiles import WIDTH

BEYOND = 5
"""Numbers after a row that are not its own."""


def row_of(count: int, wide: int, scale: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of a row, and the row with what lies behind it."""
    numbers = (np.random.default_rng(seed).normal(size=count) * scale).astype(np.float32)
    row = np.full(wide + BEYOND, 7, np.float32)
    row[:count] = numbers
    return numbers, row


rows = given(
    count=st.integers(1, 5 * WIDTH),
    more=st.integers(0, WIDTH),
    scale=st.sampled_from([0.0, 0.1, 1.0, 30.0, 1e6, 1e30]),
    seed=st.integers(0, 99),
)


@rows
def test_shares_and_their_sum(count: int, more: int, scale: float, seed: int) -> None:
    numbers, row = row_of(count, count + more, scale, seed)
    top = softmax.largest(row.ctypes.data, count)
    assert top == numbers.max()
    total = softmax.shares_of_two(row.ctypes.data, count, count + more, top)
    exact = np.exp2((numbers - numbers.max()).astype(np.float64))
    np.testing.assert_allclose(row[:count], exact, rtol=3e-7, atol=3e-22)
    np.testing.assert_allclose(total, exact.sum(), rtol=1e-6)
    assert (row[count : count + more] == 0).all()
    assert (row[count + more :] == 7).all()


@rows
def test_powers_of_e(count: int, more: int, scale: float, seed: int) -> None:
    numbers, row = row_of(count, count + more, scale, seed)
    total = softmax.shares_of_e(row.ctypes.data, count, numbers.max())
    exact = np.exp((numbers - numbers.max()).astype(np.float64))
    np.testing.assert_allclose(row[:count], exact, rtol=1e-5, atol=3e-22)  # of exponents down to -50 in float32
    np.testing.assert_allclose(total, exact.sum(), rtol=1e-5)
    assert (row[count:] == 7).all()


@rows
def test_the_way_back(count: int, more: int, scale: float, seed: int) -> None:
    numbers, row = row_of(count, count + more, scale, seed)
    changes, d_row = row_of(count, count + more, 1.0, seed + 1)
    part, along = np.float32(0.3), np.float32(0.2)
    softmax.shares_back(row.ctypes.data, d_row.ctypes.data, count, count + more, numbers.max(), part, along)
    exact = np.exp2((numbers - numbers.max()).astype(np.float64)) * float(part)
    np.testing.assert_allclose(row[:count], exact, rtol=5e-7, atol=3e-22)
    np.testing.assert_allclose(d_row[:count], exact * (changes - along), rtol=1e-6, atol=3e-22)
    for changed in (row, d_row):
        assert (changed[count : count + more] == 0).all()
        assert (changed[count + more :] == 7).all()


@pytest.mark.parametrize("bits", [0x7FC00000, 0x7FC001FF, -1])
@pytest.mark.parametrize("place", [0, 2, WIDTH, WIDTH + 2])
def test_nan_stays_nan(bits: int, place: int) -> None:
    _, row = row_of(WIDTH + 3, WIDTH + 3, 1.0, 0)
    row[place : place + 1].view(np.int32)[0] = bits
    top = softmax.largest(row.ctypes.data, WIDTH + 3)
    assert np.isfinite(top)
    assert np.isnan(softmax.shares_of_two(row.ctypes.data, WIDTH + 3, WIDTH + 3, top))
    assert np.isnan(row[place])


def test_infinite_numbers() -> None:
    row = np.array([-np.inf, 0.0, -1.0], np.float32)
    assert softmax.shares_of_two(row.ctypes.data, 3, 3, 0.0) == 1.5
    assert row.tolist() == [0.0, 1.0, 0.5]
    row = np.array([np.inf, 0.0], np.float32)
    assert np.isnan(softmax.shares_of_two(row.ctypes.data, 2, 2, softmax.largest(row.ctypes.data, 2)))


def test_a_power_is_right_to_two_units_in_the_last_place() -> None:
    numbers = np.arange(-71.9, 0, 1e-4, dtype=np.float32)
    row = numbers.copy()
    softmax.shares_of_two(row.ctypes.data, len(row), len(row), 0.0)
    assert np.abs(row / np.exp2(numbers.astype(np.float64)) - 1).max() < 2 * 2.0**-23
