"""Views: exact inverses, programs that do the same without the view, and which colours are renamed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whet.programs.combiners import names_of
from whet.programs.expressions import evaluate, parse, run
from whet.programs.views import PLAIN, renamed

PROGRAMS = ["input", "crop(input)", "without_the(input, 'most common')", "pile(rays(input, 'left'), input)"]


def grid(*rows):
    return np.array([[int(cell) for cell in row] for row in rows], np.uint8)


def drawn(seed, shape=(4, 5)):
    rng = np.random.default_rng(seed)
    return (rng.integers(0, 10, shape) * (rng.random(shape) < 0.6)).astype(np.uint8)


def task(seed):
    grids = [drawn(seed + place) for place in range(4)]
    return [(one, one[::-1].copy()) for one in grids[:3]], grids[3:]


def views(seed):
    train, tests = task(seed)
    return [PLAIN, *filter(None, [renamed(train, tests)])], train, tests


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_the_way_back_leads_to_the_same_grid(seed):
    seen, train, tests = views(seed)
    for view in seen:
        for given_, belongs in [*train, *zip(tests, tests, strict=True)]:
            for one in (given_, belongs):
                there = view.there(one, given_)
                assert there.dtype == np.uint8
                assert np.array_equal(view.back(there, given_), one)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_a_program_of_a_view_does_the_same_for_the_task_as_it_is(seed):
    seen, _, tests = views(seed)
    for view in seen:
        for text in PROGRAMS:
            inside = evaluate(parse(text), view.there(tests[0], tests[0]))
            outside = run(str(view.program(parse(text))), tests[0])
            assert (inside is None) == (outside is None)
            if inside is not None:
                assert np.array_equal(outside, view.back(inside.cells, tests[0]))


def test_colours_get_names_by_how_often_they_occur():
    names = names_of(grid("7755", "7333", "3300"), (3, 5, 7))
    assert names.tolist() == [0, 1, 2, 3, 4, 7, 6, 5, 8, 9]


def test_equal_counts_and_absent_colours_keep_their_order():
    assert names_of(grid("9844"), (3, 4, 8, 9)).tolist() == [0, 1, 2, 9, 3, 5, 6, 7, 4, 8]


def test_colours_that_all_inputs_or_all_outputs_have_and_new_ones_keep_their_names():
    train = [(grid("1203"), grid("1603")), (grid("1405"), grid("1600"))]
    view = renamed(train, [grid("1780")])
    for before, after in train:
        for colour in (0, 1, 6):
            assert np.array_equal(view.there(after, before) == colour, after == colour)
    assert [view.there(before, before).tolist() for before, _ in train] == [[[1, 2, 0, 3]]] * 2


def test_there_is_no_view_by_colours_where_no_name_would_differ():
    same = grid("1122")
    assert renamed([(same, same)], [same]) is None


@pytest.mark.parametrize("text", ["unnamed(crop(named(input, (2, 3))), input, (2, 3))"])
def test_programs_of_views_can_be_read_again(text):
    assert str(parse(text)) == text
    assert run(text, grid("000", "033", "000")).tolist() == [[3, 3]]
