"""Primitives by what they mean, on small pictures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from whet.programs import primitives as _registered  # noqa: F401
from whet.programs.expressions import run
from whet.programs.images import Image, image_of, window
from whet.programs.registry import IMAGE, IMAGES, PRIMITIVES

GRIDS = st.tuples(st.integers(1, 8), st.integers(1, 8)).flatmap(
    lambda size: arrays(np.uint8, size, elements=st.integers(0, 3))
)


def picture(text: str) -> np.ndarray:
    """Rows of digits, `.` for empty."""
    return np.array([[int(cell) for cell in row.replace(".", "0")] for row in text.split()], np.uint8)


CASES = [
    ("crop(input)", "... .12 ...", "12"),
    ("turn(input, 'columns')", "12 3.", "21 .3"),
    ("turn(input, 'left')", "12 3.", "2. 13"),
    ("turn(input, 'antitranspose')", "12 3.", ".2 31"),
    ("half(input, 'right')", "12345", "45"),
    ("enlarge(input, 2)", "1.", "11.. 11.."),
    ("shrink(input)", "11.. 11..", "1."),
    ("without_repeats(input)", "1122 1122 33..", "12 3."),
    ("without_empty(input, 'both')", "1.2 ... 3.4", "12 34"),
    ("repeat(input, '12')", "12", "1212"),
    ("mirror(input, 'four')", "12", "1221 1221"),
    ("mirror(input, 'turned')", "1. ..", "1..1 .... .... 1..1"),
    ("peel(input, 1)", "111 121 111", "2"),
    ("pad(input, 1)", "1", "... .1. ..."),
    ("unit(input)", "1212 1212", "12"),
    ("corner(input, 'bottom right 2')", "111 123 145", "23 45"),
    ("edge(input, 'corners')", "1.2 ... 3.4", "12 34"),
    ("roll(input, 'row')", "12 12", "12 21"),
    ("kron(input, input)", "1. .2", "1... .2.. ..1. ...2"),
    ("only(input, 2)", "12 32", ".2 .2"),
    ("without(input, 2)", "12 32", "1. 3."),
    ("paint(input, 5)", "1. .3", "5. .5"),
    ("only_the(input, 'least common')", "12 2.", "1. .."),
    ("negative(input)", "1. .1", ".1 1."),
    ("swap_two(input)", "12 2.", "21 1."),
    ("empty_background(input)", "333 313 333", "... .1. ..."),
    ("single(input, 'most common')", "12 2.", "2"),
    ("tally(input, 'bars across')", "122 .2.", "222 1.."),
    ("over(input, turn(input, 'columns'))", "12. ...", "121 ..."),
    ("where_not(input, turn(input, 'columns'))", "12. ...", "1.. ..."),
    ("fill(input, 4)", "111 1.1 111", "111 141 111"),
    ("enclosed(input, '4')", "111 1.1 111", "... .1. ..."),
    ("fill_each(input)", "111222 1.12.2 111222", "111222 111222 111222"),
    ("interior(input, '4')", "111 111 111", "... .1. ..."),
    ("rim(input, '4')", "111 111 111", "111 1.1 111"),
    ("halo(input, 3)", "... .1. ...", "333 3.3 333"),
    ("boxed(input, 'filled')", "1. 11", "11 11"),
    ("without_small(input, '1')", "1.2 ..2", "..2 ..2"),
    ("largest_rectangle(input, 2)", "122 .22", "22 22"),
    ("rays(input, 'right')", ".1.. 2..3", ".111 2223"),
    ("lines_between(input, 'across')", "1..1 1..2", "1111 1..2"),
    ("only_lines_between(input, 'across')", "1..1", ".11."),
    ("fall(input, 'down')", "12 .. 3.", ".. 1. 32"),
    ("components_fall(input, 'down')", "11 1. ..", ".. 11 1."),
    ("pulled_to(input, 8)", "1..8 ...8", "..18 ...8"),
    ("spread(input, 'all')", "1...2", "11122"),
    ("symmetrised(input, 'columns')", "12. 3..", "121 3.3"),
    ("complete_symmetry(input, 9)", "1221 3993 3443 1221", "1221 3443 3443 1221"),
    ("complete_period(input, 9)", "12121 21912 12121", "12121 21212 12121"),
    ("continued(input, 'down')", "1 2 1", "1 2 1 2 1 2"),
    ("symmetric_about(input, 5)", "1.... ..5.. .....", "1...1 ..5.. 1...1"),
    ("most(components(input, '4'), 'cells')", "11.2 ....", "11"),
    ("least(components(input, '4'), 'cells')", "11.2 ....", "2"),
    ("odd(components(input, '4'), 'cells')", "11.22.. .....33 .....3.", "33 3."),
    ("overlay(components(input, '4'), 'last')", ".1. 2.3", ".1. 2.3"),
    ("stacked(parts(input, '12'), 'first')", "1..2", "12"),
    ("joined(components(input, '8'), 'right')", "1.2", "12"),
    ("logic(parts(input, '12'), 'and')", "11.1", ".1"),
    ("logic(parts(input, '12'), 'xor')", "11.1", "1."),
    ("layout(panels(input), 'single')", "15. 555 .52", "1. .2"),
    ("extended(input, 'down')", "12", "12 .."),
    ("overlay(with_colour(components(input, '4 any'), 2), 'last')", "11.12", "12"),
    ("overlay(without_colour(components(input, '4 any'), 2), 'last')", "11.12", "11"),
    ("overlay(by_symmetry(components(input, '4 any'), 'columns'), 'last')", "11.12", "11"),
    ("most(components(input, '4'), 'hole count')", "111.22 1.1.22 111...", "111 1.1 111"),
    ("hidden_part(input, 9)", "1221 3993 3443 1221", "44"),
    ("shifted(crop(input), 'right own size')", "1..", "1"),
    ("cut_to(shifted(crop(input), 'right 1'), input)", "1..", ".1."),
    ("stamped(crop(only(input, 1)), only(input, 2))", "111.. 1.1.. 111.. ...2. .....", "..... ..... ..111 ..1.1 ..111"),
    ("layout_of(panels(input), 'cells')", "15. 555 .52 .5. .52", "1. .2"),
    ("item(parts(input, '13'), 'middle')", "123", "2"),
    ("one_each(in_order(components(input, '4'), 'cells'), 'row')", "11.2 ..22", "12"),
    ("overlay(each(components(input, '4'), turn, 'columns'), 'last')", "1. 11", ".1 11"),
    ("cut_to(input, crop(only(input, 2)))", "1234 5226", "23 22"),
]


@pytest.mark.parametrize(("program", "before", "after"), CASES)
def test_a_primitive_does_what_its_sentence_says(program, before, after):
    out = run(program, picture(before))
    assert out is not None
    assert out.tolist() == picture(after).tolist()


@settings(max_examples=40, deadline=None)
@given(GRIDS)
def test_every_primitive_leaves_its_input_alone_and_gives_small_images_or_none(cells):
    image = Image(cells)
    before = cells.copy()
    for primitive in PRIMITIVES.values():
        values = {IMAGE: image, IMAGES: (image, Image(np.ascontiguousarray(cells[::-1]), 1, 2))}
        for constant in primitive.constants[:3] or (None,):
            constants = () if constant is None else (constant,)
            out = primitive.function(*(values[kind] for kind in primitive.takes), *constants)
            assert np.array_equal(cells, before), primitive.name
            if out is None:
                continue
            assert isinstance(out, Image) == (primitive.gives == IMAGE), primitive.name
            for one in [out] if isinstance(out, Image) else out:
                assert one.cells.dtype == np.uint8, primitive.name
                assert one.cells.flags.c_contiguous, primitive.name
                assert one.cells.max() <= 9, primitive.name
                assert min(one.cells.shape) > 0, primitive.name


@settings(max_examples=30, deadline=None)
@given(GRIDS)
def test_components_put_together_are_the_image(cells):
    if cells.any():
        for kind in ("4", "8", "4 any", "8 any"):
            out = run(f"cut_to(overlay(components(input, {kind!r}), 'last'), input)", cells)
            assert np.array_equal(out, cells)


def test_a_window_shows_what_lies_there_and_emptiness_elsewhere():
    image = Image(np.array([[1, 2], [3, 4]], np.uint8), 1, 1)
    assert window(image, 0, 0, 2, 3).tolist() == [[0, 0, 0], [0, 1, 2]]
    assert window(image, 5, 5, 1, 1).tolist() == [[0]]


def test_an_image_has_at_most_thirty_rows():
    assert image_of(np.zeros((31, 1), np.uint8)) is None
    assert image_of(np.zeros((0, 1), np.uint8)) is None
