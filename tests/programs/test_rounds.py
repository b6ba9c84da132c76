"""Rounds of the search: what they add up to, memory, views."""

from __future__ import annotations

from itertools import count, islice

import numpy as np

from whet.programs.expressions import run
from whet.programs.images import Image
from whet.programs.limits import Meter
from whet.programs.rounds import Search
from whet.programs.search import enumerate_states, size_of
from whet.programs.views import PLAIN, renamed


def grids(seed, number, shape=(5, 6), colours=4):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, colours, shape).astype(np.uint8) * (rng.random(shape) < 0.5) for _ in range(number)]


def task(rule, seed=0):
    *inputs, test = grids(seed, 4)
    return [(grid, rule(grid)) for grid in inputs], [test]


def mirrored(grid):
    return np.hstack([grid, grid[:, ::-1]])


def search(rule, memory=1 << 30):
    return Search(PLAIN, *task(rule), Meter(60.0), memory)


def texts(candidates):
    return {(str(one.expression), round(one.cost, 9), one.answer) for one in candidates}


def test_a_round_finds_what_it_finds_without_those_before():
    after, at_once = search(mirrored), search(mirrored)
    after.round(60)
    assert texts(after.round(300)) == texts(at_once.round(300))


def test_a_round_without_new_programs_finds_nothing():
    one = search(mirrored)
    assert one.round(100)
    assert one.round(100) == []
    assert one.round(50) == []


def test_values_take_no_more_memory_than_is_given_and_one_program():
    inputs = grids(0, 3)
    for memory in (1, 10_000, 100_000):
        sizes = [size_of(s.values) for s in islice(enumerate_states(inputs, [1], Meter(60.0), memory), 1, 3000)]
        assert sum(sizes[:-1]) < memory <= sum(sizes)
    one = search(mirrored, memory=100_000)
    one.round(3000)
    assert one.size() < 200_000


def test_the_size_of_values_counts_cells_and_images():
    for state in islice(enumerate_states(grids(0, 2), [1], Meter(60.0)), 200):
        cells = 0
        for value in state.values:
            cells += sum(image.cells.size for image in ([value] if isinstance(value, Image) else value))
        assert size_of(state.values) > cells


def test_what_a_view_finds_is_for_the_task_as_it_is_and_costs_more():
    *inputs, test = [np.where(grid == 3, 4 + place, grid).astype(np.uint8) for place, grid in enumerate(grids(0, 4))]
    pairs = [(grid, mirrored(grid)) for grid in inputs]
    view = renamed(pairs, [test])
    found = Search(view, pairs, [test], Meter(60.0), 1 << 30).round(60)
    assert any(np.array_equal(one.predictions[0], mirrored(test)) for one in found)
    assert min(one.cost for one in found) >= view.cost > 0
    for one in found:
        for before, after in pairs:
            assert np.array_equal(run(str(one.expression), before), after)


def test_a_round_is_afforded_if_the_pace_so_far_leaves_time_for_it():
    ticks = count()
    pairs, tests = task(mirrored)
    one = Search(PLAIN, pairs, tests, Meter(20_000.0, lambda: float(next(ticks))), 1 << 30)
    one.round(100)
    assert one.affords(100)
    assert one.affords(500)
    assert not one.affords(50_000)


def test_where_colours_have_roles_a_program_is_shorter_in_the_view_that_names_them_so():
    rng = np.random.default_rng(5)

    def pair():
        often, seldom = rng.choice(np.arange(1, 10), 2, replace=False)
        grid = np.zeros((5, 5), np.uint8)
        places = rng.permutation(25)[:9]
        grid.flat[places[:6]], grid.flat[places[6:]] = often, seldom
        out = grid.copy()
        beside = np.pad(grid, ((0, 0), (1, 0)))[:, :-1]
        above = np.pad(grid, ((1, 0), (0, 0)))[:-1]
        out[(grid == 0) & (beside == often) & (above == seldom)] = often
        out[(grid == 0) & (beside == seldom) & (above == often)] = seldom
        out[(grid == 0) & (beside == often) & (above == often)] = seldom
        return grid, out

    *train, (test, answer) = [pair() for _ in range(7)]
    right = {}
    for view in (PLAIN, renamed(train, [test])):
        found = Search(view, train, [test], Meter(60.0), 1 << 30).round(4)
        costs = [one.cost for one in found if np.array_equal(one.predictions[0], answer)]
        right[view] = min(costs, default=np.inf)
    plain, named = right.values()
    assert named < plain
