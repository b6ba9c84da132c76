"""Programs as text."""

from __future__ import annotations

import numpy as np
import pytest

from whet.errors import InputError
from whet.programs.expressions import parse, run

GRID = np.array([[0, 1], [2, 1]], np.uint8)
TEXTS = [
    "input",
    "crop(only(input, 3))",
    "most(components(input, '4'), 'cells')",
    "overlay(each(components(input, '8 any'), turn, 'left'), 'last')",
    "joined(each(components(input, '4'), crop), 'down')",
    "pile(rays(input, 'left'), input)",
    "lookup(input, {1: 3})",
    "lookup(input, turn(input, 'rows'), {(0, 2): 1, (1, 1): 0})",
    "cells(input, crop(input), ('own', '==', 1, '#0', ('row', '<=', 0, 3, 'own')))",
    "sweep(input, ('made left', '==', 1, 'made left', 'own'))",
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_program_prints_as_what_was_parsed(text):
    assert str(parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", "crop(", "nothing(input)", "input + input", "crop", "__import__('os')", "run.it(input)"]
)
def test_what_is_no_program_is_refused_with_an_example(text):
    with pytest.raises(InputError, match="crop"):
        run(text, GRID)


def test_a_program_that_makes_no_sense_for_a_grid_gives_none():
    assert run("crop(only(input, 7))", GRID) is None


def test_a_list_is_no_output():
    assert run("components(input, '4')", GRID) is None


def test_a_lookup_of_one_image_keeps_other_colours_and_one_of_two_needs_every_pair():
    assert run("lookup(input, {1: 3})", GRID).tolist() == [[0, 3], [2, 3]]
    table = "{(0, 1): 5, (1, 0): 6, (2, 1): 7, (1, 2): 8}"
    assert run(f"lookup(input, turn(input, 'columns'), {table})", GRID).tolist() == [[5, 6], [7, 8]]
    assert run("lookup(input, turn(input, 'columns'), {(0, 1): 5})", GRID) is None


def test_in_a_pile_empty_cells_let_the_next_be_seen():
    assert run("pile(only(input, 2), turn(input, 'rows'), input)", GRID).tolist() == [[2, 1], [2, 1]]
