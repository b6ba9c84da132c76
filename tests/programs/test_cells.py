"""Features of cells against slow references, trees against their definition, rules against what they print."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from whet.programs.cells.features import COPIED, COSTS, NAMES, PLACES, features_of
from whet.programs.cells.rules import nested, nodes_of, predicted
from whet.programs.cells.tree import follow, grow, uncertainty
from whet.programs.expressions import run

GRIDS = st.tuples(st.integers(1, 7), st.integers(1, 7)).flatmap(
    lambda size: arrays(np.uint8, size, elements=st.integers(0, 3))
)


def feature(cells, name):
    return features_of(cells)[PLACES[name]].reshape(cells.shape)


@settings(max_examples=25, deadline=None)
@given(GRIDS)
def test_there_is_one_row_for_each_name_and_its_values_stay_in_bounds(cells):
    rows = features_of(cells)
    assert rows.shape == (len(NAMES), cells.size) == (len(COSTS), cells.size)
    assert len(PLACES) == len(NAMES)
    assert rows.max() < 64
    assert rows[:COPIED].max() <= 10


@settings(max_examples=25, deadline=None)
@given(GRIDS)
def test_what_a_cell_sees_is_the_first_colour_on_its_way(cells):
    height, width = cells.shape
    for name, dy, dx in (("up", -1, 0), ("down left", 1, -1), ("right", 0, 1)):
        seen, foreign = feature(cells, f"seen {name}"), feature(cells, f"foreign {name}")
        near = feature(cells, f"{name} neighbour")
        for (row, column), own in np.ndenumerate(cells):
            way = []
            y, x = row + dy, column + dx
            while 0 <= y < height and 0 <= x < width:
                way.append(int(cells[y, x]))
                y, x = y + dy, x + dx
            assert near[row, column] == (way[0] if way else 10)
            assert seen[row, column] == next((c for c in way if c), 10)
            assert foreign[row, column] == next((c for c in way if c and c != own), 10)


@settings(max_examples=25, deadline=None)
@given(GRIDS)
def test_the_size_of_a_part_is_that_of_its_component(cells):
    sizes = np.full(cells.shape, 63)
    for colour in (1, 2, 3):
        labels, _ = ndimage.label(cells == colour)
        number = np.bincount(labels.ravel())
        sizes = np.where(cells == colour, number[labels], sizes)
    assert np.array_equal(feature(cells, "part: size"), sizes)


@settings(max_examples=25, deadline=None)
@given(GRIDS)
def test_counts_around_a_cell_are_those_of_a_convolution(cells):
    kernel = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]])
    for colour in (0, 2):
        around = ndimage.convolve((cells == colour).astype(int), kernel, mode="constant")
        assert np.array_equal(feature(cells, f"around of {colour}"), around)


@settings(max_examples=25, deadline=None)
@given(GRIDS)
def test_the_side_of_the_largest_square_of_one_colour_is_that_of_brute_force(cells):
    height, width = cells.shape
    best = np.ones(cells.shape, int)
    for side in range(1, min(height, width) + 1):
        for row in range(height - side + 1):
            for column in range(width - side + 1):
                part = np.s_[row : row + side, column : column + side]
                if (cells[part] == cells[row, column]).all():
                    best[part] = np.maximum(best[part], side)
    assert np.array_equal(feature(cells, "square side"), best)


def test_a_panel_is_known_by_how_full_it_is():
    cells = np.array([[1, 5, 0, 5, 1], [1, 5, 1, 5, 0], [0, 5, 0, 5, 0]], np.uint8)
    assert feature(cells, "panel: filled")[0].tolist() == [2, 63, 1, 63, 1]
    assert feature(cells, "panel: filled rank")[0].tolist() == [0, 63, 1, 63, 1]


def learnt(features, labels, target, used=None):
    options = (np.arange(4, dtype=np.uint8)[:, None] == target).astype(np.uint8)
    used = np.ones(len(features), np.bool_) if used is None else used
    return grow(features, labels, options, np.ones(len(features)), used, 48)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_a_tree_is_right_for_every_cell_that_it_learnt_from(seed):
    rng = np.random.default_rng(seed)
    features = rng.integers(0, 6, (4, 60)).astype(np.uint8)
    target = np.where(features[1] <= 2, 1, np.where(features[3] == 4, 2, 3)).astype(np.uint8)
    nodes, number = learnt(features, target, target)
    assert 0 < number <= 48
    assert np.array_equal(follow(nodes, features), target)


def test_a_tree_asks_only_for_what_it_may_and_there_is_none_if_that_does_not_decide():
    features = np.array([[0, 0, 1, 1] * 10, [0, 1, 0, 1] * 10], np.uint8)
    target = features[1].copy()
    assert learnt(features, target, target)[1] == 3
    assert learnt(features, target, target, np.array([True, False]))[1] == 0


def test_uncertainty_is_the_conditional_entropy():
    features = np.array([[0, 0, 1, 1], [0, 1, 0, 1]], np.uint8)
    labels = np.array([0, 0, 1, 1], np.uint8)
    assert uncertainty(features, labels) == pytest.approx([0.0, 4 * np.log(2)])


def test_a_rule_survives_being_made_a_tree():
    rule = ("own", "==", 3, "#0", ("row", "<=", 2, 7, ("part: size", "==", 4, "own", "seen up")))
    names = ("#0", *NAMES)
    assert nested(nodes_of(rule, names), names) == rule


@settings(max_examples=25, deadline=None)
@given(GRIDS)
def test_a_rule_does_what_it_says(cells):
    out = run("cells(input, ('own', '==', 2, 5, ('left neighbour', '==', 10, 'own', 'left neighbour')))", cells)
    left = np.pad(cells, ((0, 0), (1, 0)))[:, :-1]
    left[:, 0] = cells[:, 0]
    assert np.array_equal(out, np.where(cells == 2, 5, left))
    rows = features_of(cells)
    nodes = nodes_of("own", NAMES)
    assert np.array_equal(predicted(nodes, rows, cells.ravel()), cells.ravel())


def test_a_sweep_sees_what_it_has_made():
    cells = np.array([[0, 3, 0, 0, 2, 0]], np.uint8)
    rule = "('own', '==', 0, ('made left', '==', 3, 4, ('made left', '==', 4, 3, 0)), 'own')"
    assert run(f"sweep(input, {rule})", cells).tolist() == [[0, 3, 4, 3, 2, 0]]
