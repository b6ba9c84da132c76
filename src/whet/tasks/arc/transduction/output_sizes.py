"""The size of an output, where the demonstrations give it away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from whet.tasks.arc.grids import MAX_SIDE, Grid
from whet.tasks.arc.task import Pair
from whet.tasks.arc.transduction.encoding import Size, size_of


def ruled_size(demonstrations: Sequence[Pair], grid: Grid) -> Size | None:
    """The size of the output of `grid` by the first rule that all demonstrations keep, or None.

    The rules: the output is as large as the input; it always has one size; it is as large as the input turned; it has a
    constant number of times the input's rows and columns; or so many more or fewer.
    """
    sizes = [(size_of(pair.input), size_of(pair.output)) for pair in demonstrations]
    for rule in (_same, _constant, _turned, _scaled, _added):
        make = rule(sizes)
        if make is not None and all(make(given) == wanted for given, wanted in sizes):
            found = make(size_of(grid))
            if found is not None and all(1 <= side <= MAX_SIDE for side in found):
                return found
    return None


Sizes = list[tuple[Size, Size]]
Make = Callable[[Size], Size | None]


def _same(_: Sizes) -> Make:
    return lambda size: size


def _constant(sizes: Sizes) -> Make:
    return lambda _: sizes[0][1]


def _turned(_: Sizes) -> Make:
    return lambda size: (size[1], size[0])


def _scaled(sizes: Sizes) -> Make:
    (rows, columns), (new_rows, new_columns) = sizes[0]
    down, right = Fraction(new_rows, rows), Fraction(new_columns, columns)

    def make(size: Size) -> Size | None:
        found = size[0] * down, size[1] * right
        return None if any(side.denominator > 1 for side in found) else (int(found[0]), int(found[1]))

    return make


def _added(sizes: Sizes) -> Make:
    (rows, columns), (new_rows, new_columns) = sizes[0]
    return lambda size: (size[0] + new_rows - rows, size[1] + new_columns - columns)
