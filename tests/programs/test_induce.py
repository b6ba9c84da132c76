"""Induction from end to end on tasks made here."""

from __future__ import annotations

import numpy as np
import pytest

from whet.programs.expressions import run
from whet.programs.induce import induce
from whet.programs.limits import Limits

LIMITS = Limits(seconds=60.0, programs=900)


def grids(seed, number, shape=(5, 6), colours=4):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, colours, shape).astype(np.uint8) * (rng.random(shape) < 0.5) for _ in range(number)]


def mirrored(grid):
    return np.hstack([grid, grid[:, ::-1]])


def recoloured(grid):
    return np.array([0, 2, 3, 1], np.uint8)[grid]


def below_a_two(grid):
    above = np.pad(grid, ((1, 0), (0, 0)))[:-1]
    return np.where((grid == 0) & (above == 2), 7, grid).astype(np.uint8)


def trailing(grid):
    out = grid.copy()
    for row in range(1, len(out)):
        out[row] = np.where((out[row] == 0) & (out[row - 1] == 2), 2, out[row])
    return out


RULES = [mirrored, recoloured, below_a_two, trailing]


@pytest.mark.parametrize("rule", RULES)
def test_a_simple_rule_is_found_and_its_program_runs(rule):
    *inputs, test = grids(0, 4)
    pairs = [(grid, rule(grid)) for grid in inputs]
    solutions = induce(pairs, [test], LIMITS)
    assert np.array_equal(solutions[0].predictions[0], rule(test))
    for solution in solutions:
        for before, after in pairs:
            assert np.array_equal(run(solution.program, before), after), solution.program
        assert np.array_equal(run(solution.program, test), solution.predictions[0]), solution.program


def test_several_tests_are_answered_together_and_answers_differ():
    *inputs, one, two = grids(1, 5)
    solutions = induce([(grid, mirrored(grid)) for grid in inputs], [one, two], LIMITS)
    assert [np.array_equal(p, mirrored(t)) for p, t in zip(solutions[0].predictions, (one, two), strict=True)] == [
        True
    ] * 2
    answers = {tuple(grid.tobytes() for grid in solution.predictions) for solution in solutions}
    assert len(answers) == len(solutions)


def test_noise_is_not_explained_by_a_short_program():
    inputs, outputs = grids(2, 3), grids(3, 3)
    solutions = induce(list(zip(inputs[:2], outputs[:2], strict=True)), [inputs[2]], Limits(60.0, 150))
    assert all(solution.cost > 10 for solution in solutions)


def test_without_time_there_are_no_solutions():
    *inputs, test = grids(0, 3)
    assert induce([(grid, mirrored(grid)) for grid in inputs], [test], Limits(seconds=0.0)) == []


def test_the_same_task_gives_the_same_solutions():
    *inputs, test = grids(4, 4)
    pairs = [(grid, below_a_two(grid)) for grid in inputs]
    first, second = (induce(pairs, [test], LIMITS) for _ in range(2))
    assert [(s.program, s.cost) for s in first] == [(s.program, s.cost) for s in second]


def test_grids_are_left_as_they_were():
    *inputs, test = grids(5, 3)
    pairs = [(grid, recoloured(grid)) for grid in inputs]
    before = [grid.copy() for pair in pairs for grid in pair] + [test.copy()]
    induce(pairs, [test], LIMITS)
    assert all(np.array_equal(a, b) for a, b in zip(before, [g for pair in pairs for g in pair] + [test], strict=True))
