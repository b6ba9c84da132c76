"""Canvases, tables and stacks against brute force."""

from __future__ import annotations

from itertools import islice, permutations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from whet.programs.canvas import Pieces, canvases, pieces_of
from whet.programs.expressions import INPUT, Expression, run
from whet.programs.limits import Meter
from whet.programs.search import enumerate_states
from whet.programs.stack import stacks
from whet.programs.tables import pair_tables, single_tables


def pieces(seen, unseen, target):
    """Rows of cells as pieces of one training pair and one test, each one row high."""
    seen, unseen, target = (np.array(part, np.uint8) for part in (seen, unseen, target))
    expressions = [Expression("only", (INPUT,), place) for place in range(len(seen))]
    shapes = [(1, seen.shape[1]), (1, unseen.shape[1])]
    return Pieces(expressions, np.ones(len(seen)), seen, unseen, target, shapes, 1)


def test_a_table_of_one_piece_is_learnt_where_its_colours_decide():
    found = list(single_tables(pieces([[1, 1, 2], [1, 2, 2]], [[2, 1, 1], [1, 1, 1]], [5, 5, 2])))
    assert [str(one.expression) for one in found] == ["lookup(only(input, 0), {1: 5})"]
    assert found[0].predictions[0].tolist() == [[2, 5, 5]]


def test_a_table_with_colours_that_training_does_not_show_is_refused():
    assert not list(single_tables(pieces([[1, 1, 2]], [[3, 1, 1]], [5, 5, 2])))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000))
def test_pairs_are_those_that_brute_force_finds(seed):
    rng = np.random.default_rng(seed)
    seen, unseen = rng.integers(0, 3, (5, 6)), rng.integers(0, 3, (5, 2))
    target = rng.integers(0, 2, 6)
    alone = [len(set(zip(row, target, strict=True))) == len(set(row)) for row in seen.tolist()]
    expected = set()
    for first in range(5):
        for second in range(first + 1, 5):
            table = {}
            for a, b, c in zip(seen[first], seen[second], target, strict=True):
                table.setdefault((a, b), set()).add(c)
            known = all((a, b) in table for a, b in zip(unseen[first], unseen[second], strict=True))
            if known and not alone[first] and not alone[second] and all(len(values) == 1 for values in table.values()):
                expected.add((first, second))
    found = {
        tuple(argument.constant for argument in one.expression.arguments)
        for one in pair_tables(pieces(seen, unseen, target))
    }
    assert found == expected


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000))
def test_a_stack_gives_the_target_and_none_is_missed_of_two_layers(seed):
    rng = np.random.default_rng(seed)
    seen = rng.integers(0, 3, (5, 5))
    target = np.where(seen[0] > 0, seen[0], seen[1])
    given_ = pieces(seen, seen, target)
    found = list(stacks(given_))
    for one in found:
        assert one.predictions[0][0].tolist() == target.tolist()
    wrong = [not np.array_equal(row, target) for row in seen]
    possible = any(
        wrong[b] and np.array_equal(np.where(seen[a] > 0, seen[a], seen[b]), target)
        for a, b in permutations(range(5), 2)
    )
    assert bool(found) or not possible


def test_pieces_are_the_images_at_the_extent_of_the_canvas():
    inputs = [np.array([[0, 0, 0], [0, 1, 2]], np.uint8), np.array([[0, 0], [3, 0]], np.uint8)]
    outputs = [np.array([[5, 5]], np.uint8)]
    states = list(islice(enumerate_states(inputs, [], Meter(60.0)), 200))
    canvas = next(c for c in canvases(states, outputs, 10) if str(c.expression) == "crop(input)")
    found = pieces_of(states, canvas, outputs)
    assert found.shapes == [(1, 2), (1, 1)]
    assert found.target.tolist() == [5, 5]
    assert len({bytes(np.append(a, b)) for a, b in zip(found.seen, found.unseen, strict=True)}) == len(found.costs)
    for place, expression in enumerate(found.expressions):
        again = [run(str(expression), grid) for grid in inputs]
        assert [grid.tolist() for grid in again] == [grid.tolist() for grid in found.images(place)]
