"""The enumeration: distinct behaviours, cheapest programs, limits."""

from __future__ import annotations

from itertools import islice

import numpy as np

from whet.programs.expressions import evaluate
from whet.programs.images import Image
from whet.programs.limits import Meter
from whet.programs.registry import PRIMITIVES
from whet.programs.search import enumerate_states, key_of, kind_of, steps

INPUTS = [np.array([[0, 1, 2], [0, 0, 1]], np.uint8), np.array([[3, 0], [1, 1]], np.uint8)]


def states(number=300, seconds=60.0, inputs=INPUTS):
    return list(islice(enumerate_states(inputs, [1], Meter(seconds)), number))


def test_no_two_programs_have_the_same_values_and_none_comes_before_a_cheaper_one():
    found = states()
    assert len({key_of(state.values) for state in found}) == len(found) == 300
    costs = [state.cost for state in found]
    assert costs == sorted(costs)


def test_the_cheapest_program_of_each_behaviour_is_kept():
    found = {key_of(state.values): state.cost for state in states()}
    worst = max(found.values())
    for first in steps("Image", [1], False, {}):
        values = tuple(_applied(first, Image(grid)) for grid in INPUTS)
        if None not in values and first.cost < worst:
            assert found[key_of(values)] <= first.cost


def _applied(step, image):
    constants = () if step.constant is None else (step.constant,)
    return PRIMITIVES[step.primitive.name].function(image, *constants)


def test_every_program_gives_its_values_when_it_is_run_again():
    for state in states():
        again = tuple(evaluate(state.expression, grid) for grid in INPUTS)
        assert key_of(again) == key_of(state.values), str(state.expression)


def test_inputs_that_differ_only_in_a_test_keep_programs_apart():
    train = np.array([[1, 1], [1, 1]], np.uint8)
    test = np.array([[1, 2], [0, 1]], np.uint8)
    alone = {str(state.expression) for state in states(40, inputs=[train])}
    both = {str(state.expression) for state in states(40, inputs=[train, test])}
    assert "turn(input, 'columns')" in both - alone


def test_a_colour_is_a_constant_only_if_it_is_given():
    texts = " ".join(str(state.expression) for state in states(1500))
    assert "symmetric_about(input, 1)" in texts
    assert "symmetric_about(input, 2)" not in texts


def test_lists_are_made_and_used():
    found = states(600)
    assert {kind_of(state) for state in found} == {"Image", "Images"}
    assert any("most(components" in str(state.expression) for state in found)


def test_without_time_there_is_only_the_input():
    assert [str(state.expression) for state in states(seconds=0.0)] == ["input"]


def test_the_same_inputs_give_the_same_programs():
    assert [str(state.expression) for state in states()] == [str(state.expression) for state in states()]
