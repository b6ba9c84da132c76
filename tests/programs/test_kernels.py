"""Kernels against references that are slow and simple."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from whet.programs.images import bounds
from whet.programs.kernels.motion import cast_rays, drop_cells, drop_components, join
from whet.programs.kernels.regions import boxes, flow, label, largest_of, outside
from whet.programs.kernels.repair import fill_by_period, fill_by_symmetry

WAYS = [(0, 1), (0, -1), (1, 0), (-1, 0)]


def grids(colours: int = 3, side: int = 7):
    """Small grids of few colours, so that cells often meet."""
    shape = st.tuples(st.integers(1, side), st.integers(1, side))
    return shape.flatmap(lambda size: arrays(np.uint8, size, elements=st.integers(0, colours - 1)))


@settings(max_examples=60, deadline=None)
@given(grids(), st.booleans())
def test_components_of_any_colour_are_those_of_scipy(cells, diagonal):
    labels, found = label(cells, diagonal, False, False)
    structure = np.ones((3, 3)) if diagonal else None
    reference, number = ndimage.label(cells > 0, structure)
    assert found == number
    assert np.array_equal(labels, reference)


@settings(max_examples=60, deadline=None)
@given(grids(), st.booleans())
def test_components_of_one_colour_are_those_of_each_colour_alone(cells, diagonal):
    labels, found = label(cells, diagonal, True, False)
    structure = np.ones((3, 3)) if diagonal else None
    alone = [ndimage.label(cells == colour, structure) for colour in (1, 2)]
    assert found == sum(number for _, number in alone)
    pairs = {(int(a), int(b)) for a, b in zip((alone[0][0] + 100 * alone[1][0]).ravel(), labels.ravel(), strict=True)}
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


@settings(max_examples=40, deadline=None)
@given(grids())
def test_boxes_are_those_of_scipy(cells):
    labels, found = label(cells, False, False, False)
    reference = [(a.start, b.start, a.stop, b.stop) for a, b in ndimage.find_objects(labels)]
    assert [tuple(box) for box in boxes(labels, found).tolist()] == reference


@settings(max_examples=60, deadline=None)
@given(grids(2))
def test_cells_that_are_not_outside_are_the_holes_that_scipy_fills(cells):
    inside = (cells == 0) & ~outside(cells, False)
    assert np.array_equal(inside, ndimage.binary_fill_holes(cells > 0) & (cells == 0))


@settings(max_examples=40, deadline=None)
@given(grids(), st.sampled_from([(0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)]))
def test_a_ray_brings_the_first_colour_behind_a_cell(cells, way):
    out = cast_rays(cells, *way)
    for (row, column), colour in np.ndenumerate(cells):
        y, x = row, column
        while 0 <= y < cells.shape[0] and 0 <= x < cells.shape[1] and cells[y, x] == 0:
            y, x = y - way[0], x - way[1]
        inside = 0 <= y < cells.shape[0] and 0 <= x < cells.shape[1]
        assert out[row, column] == (colour or (cells[y, x] if inside else 0))


@settings(max_examples=40, deadline=None)
@given(grids())
def test_cells_fall_in_order_to_one_end_of_their_column(cells):
    out = drop_cells(cells, 1, 0)
    for before, after in zip(cells.T, out.T, strict=True):
        kept = before[before > 0]
        assert after.tolist() == [0] * (len(before) - len(kept)) + kept.tolist()


@settings(max_examples=30, deadline=None)
@given(grids())
def test_falling_turns_with_the_grid(cells):
    down = drop_cells(cells, 1, 0)
    assert np.array_equal(np.rot90(down), drop_cells(np.ascontiguousarray(np.rot90(cells)), 0, 1))
    assert np.array_equal(down[::-1], drop_cells(np.ascontiguousarray(cells[::-1]), -1, 0))
    assert np.array_equal(down.T, drop_cells(np.ascontiguousarray(cells.T), 0, 1))


@settings(max_examples=30, deadline=None)
@given(grids(), st.sampled_from(WAYS))
def test_single_cells_as_components_fall_as_cells(cells, way):
    alone = np.where((np.indices(cells.shape) % 2 == 0).all(axis=0), cells, 0).astype(np.uint8)
    labels, found = label(alone, False, True, False)
    assert np.array_equal(drop_components(alone, labels, found, *way, 0), drop_cells(alone, *way))


def test_components_keep_their_form_and_rest_on_others():
    cells = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 0], [2, 0, 0], [0, 0, 0]], np.uint8)
    labels, found = label(cells, False, True, False)
    out = drop_components(cells, labels, found, 1, 0, 0)
    assert out.tolist() == [[0, 0, 0], [0, 0, 0], [0, 0, 0], [1, 1, 0], [2, 1, 0]]
    still = drop_components(cells, labels, found, 1, 0, 2)
    assert still.tolist() == [[0, 0, 0], [0, 0, 0], [1, 1, 0], [2, 1, 0], [0, 0, 0]]


@settings(max_examples=40, deadline=None)
@given(grids(), st.booleans())
def test_joined_cells_lie_between_two_ends(cells, same):
    out = join(cells, 0, 1, same)
    for before, after in zip(cells, out, strict=True):
        expected = before.copy()
        filled = np.flatnonzero(before)
        for a, b in pairwise(filled):
            if not same or before[a] == before[b]:
                expected[a + 1 : b] = before[a]
        assert after.tolist() == expected.tolist()


@settings(max_examples=40, deadline=None)
@given(grids(2, 6))
def test_the_largest_rectangle_is_the_best_of_all(cells):
    height, width = cells.shape
    areas = [
        (c - a) * (d - b)
        for a in range(height)
        for b in range(width)
        for c in range(a + 1, height + 1)
        for d in range(b + 1, width + 1)
        if not cells[a:c, b:d].any()
    ]
    top, left, bottom, right = largest_of(cells, 0)
    assert (bottom - top) * (right - left) == max(areas, default=0)
    assert not cells[top:bottom, left:right].any()


@settings(max_examples=40, deadline=None)
@given(grids(3, 6))
def test_colours_flow_to_the_empty_cells_that_they_can_reach_from_the_nearest(cells):
    out = flow(cells, 0)
    steps = np.where(cells > 0, 0, 999)
    for _ in range(cells.size):
        wide = np.pad(steps, 1, constant_values=999)
        near = np.min([wide[:-2, 1:-1], wide[2:, 1:-1], wide[1:-1, :-2], wide[1:-1, 2:]], axis=0) + 1
        steps = np.where(cells > 0, 0, np.minimum(steps, near))
    assert np.array_equal(out > 0, steps < 999)
    for (row, column), colour in np.ndenumerate(out):
        if cells[row, column] == 0 and colour:
            near = [(row + y, column + x) for y, x in WAYS]
            inside = [(y, x) for y, x in near if 0 <= y < cells.shape[0] and 0 <= x < cells.shape[1]]
            assert any(out[y, x] == colour and steps[y, x] == steps[row, column] - 1 for y, x in inside)


def test_a_period_with_a_slant_is_continued():
    rows, columns = np.indices((6, 6))
    whole = ((columns - rows) % 3 + 1).astype(np.uint8)
    holed = whole.copy()
    holed[2:4, 2:4] = 0
    out, left, fits = fill_by_period(holed, 0, 1, 3, 1)
    assert fits
    assert left == 0
    assert np.array_equal(out, whole)
    assert not fill_by_period(holed, 0, 1, 2, 1)[2]


@pytest.mark.parametrize("turn", [False, True])
def test_hidden_cells_come_from_their_reflections(turn):
    rng = np.random.default_rng(0)
    quarter = rng.integers(1, 9, (4, 4)).astype(np.uint8)
    quarter = np.maximum(quarter, quarter.T) if turn else quarter
    whole = np.block([[quarter, quarter[:, ::-1]], [quarter[::-1], quarter[::-1, ::-1]]])
    holed = whole.copy()
    holed[1:3, 1:4] = 0
    out, same, fits = fill_by_symmetry(holed, 0, 7, 7, turn)
    assert fits
    assert same > 0
    assert np.array_equal(out, whole)


@settings(max_examples=40, deadline=None)
@given(grids(2))
def test_bounds_are_the_first_and_last_rows_and_columns_that_are_not_empty(cells):
    rows, columns = np.nonzero(cells)
    expected = (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1) if len(rows) else None
    assert bounds(cells) == expected
