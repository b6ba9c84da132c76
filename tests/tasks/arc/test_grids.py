from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from whet.errors import InputError
from whet.tasks.arc import as_grid
from whet.tasks.arc.grids import distinct

shapes = st.tuples(st.integers(1, 30), st.integers(1, 30))


@given(arrays(np.int64, shapes, elements=st.integers(0, 9)))
def test_lists_and_arrays_of_the_same_cells_are_the_same_grid(array: np.ndarray) -> None:
    for grid in (as_grid(array), as_grid(array.tolist()), as_grid(array.T.copy().T)):
        assert grid.dtype == np.uint8
        assert grid.tolist() == array.tolist()
        assert not grid.flags.writeable
        assert not np.shares_memory(grid, array)


def test_a_grid_does_not_change_with_the_array_that_it_came_from() -> None:
    array = np.zeros((2, 2), np.uint8)
    grid = as_grid(array)
    array[0, 0] = 5
    assert grid[0, 0] == 0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "g is 0×0"),
        ([[]], "g is 1×0"),
        ([[1, 2], [3]], "g is ragged: row 1 has 1 cells and row 0 has 2"),
        ([[1, 2], [3, 10]], r"g\[1\]\[1\] is 10;"),
        ([[1, -1]], r"g\[0\]\[1\] is -1;"),
        ([[1.0]], r"g\[0\]\[0\] is 1.0;"),
        ([[True]], r"g\[0\]\[0\] is True;"),
        ([["1"]], r"g\[0\]\[0\] is '1';"),
        ([[None]], r"g\[0\]\[0\] is None;"),
        ([[[1]]], r"g\[0\]\[0\] is a list;"),
        ([[10**5000]], r"g\[0\]\[0\] is a huge number;"),
        ([1, 2], r"g\[0\] is 1, not a row"),
        (["12"], r"g\[0\] is '12', not a row"),
        ("12", "g is '12', not a list of rows"),
        ({"a": 1}, "g is a dict, not a list of rows"),
        (None, "g is None, not a list of rows"),
        ([[0]] * 31, "g is 31×1;"),
        ([[0] * 31], "g is 1×31;"),
        (np.zeros((31, 2), int), "g is 31×2;"),
        (np.zeros((0, 2), int), "g is 0×2;"),
        (np.zeros(3, int), r"shape \(3,\)"),
        (np.zeros((2, 2)), "type float64"),
        (np.zeros((2, 2), bool), "type bool"),
        (np.array([[0, 260]]), r"g\[0\]\[1\] is 260;"),
        (np.array([[0, -3]]), r"g\[0\]\[1\] is -3;"),
    ],
)
def test_what_is_no_grid_is_refused_with_the_place(values: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        as_grid(values, "g")


def test_each_different_grid_comes_once_in_order() -> None:
    one, two, wide = as_grid([[1]]), as_grid([[2]]), as_grid([[1, 1]])
    found = distinct([two, one, two, wide, one])
    assert [grid.tolist() for grid in found] == [[[2]], [[1]], [[1, 1]]]
