"""Views of a task: the same task drawn in another way, in which other programs are short."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from whet.programs.combiners import names_of
from whet.programs.expressions import INPUT, Expression
from whet.programs.images import Grid, Pairs

VIEW_COST = 3.0
"""What a program costs more that was found in another view than the plain one."""


@dataclass(frozen=True)
class View:
    """A way to draw an input and the output that belongs to it, and the way back.

    Attributes:
        cost: what a program costs more that was found in it.
        there: of a grid and the input that it belongs to, itself perhaps: the grid in this view.
        back: of a grid in this view and the input as it is: the grid as it is.
        program: of a program in this view: the program that does the same for the input as it is.
    """

    cost: float
    there: Callable[[Grid, Grid], Grid]
    back: Callable[[Grid, Grid], Grid]
    program: Callable[[Expression], Expression]


PLAIN = View(0.0, lambda grid, _: grid, lambda grid, _: grid, lambda program: program)
"""The task as it is."""


def renamed(train: Pairs, tests: Sequence[Grid]) -> View | None:
    """Colours that come and go are named by how often they occur in the input, so that a role has one name.

    A colour that every input or every output has keeps its name, and so does one that an output brings; None if no
    name would differ between two inputs.
    """
    inputs = [before for before, _ in train] + list(tests)
    fixed = {0} | set.intersection(*map(_colours, inputs)) | set.intersection(*(_colours(after) for _, after in train))
    for before, after in train:
        fixed |= _colours(after) - _colours(before)
    free = tuple(colour for colour in range(1, 10) if colour not in fixed)
    if len({names_of(grid, free).tobytes() for grid in inputs}) == 1:
        return None
    return View(
        VIEW_COST,
        lambda grid, given: names_of(given, free)[grid],
        lambda grid, given: np.argsort(names_of(given, free)).astype(np.uint8)[grid],
        lambda program: Expression("unnamed", (_of(program, Expression("named", (INPUT,), free)), INPUT), free),
    )


def _of(program: Expression, value: Expression) -> Expression:
    """The program with another value as its input."""
    if program == INPUT:
        return value
    return replace(program, arguments=tuple(_of(argument, value) for argument in program.arguments))


def _colours(grid: Grid) -> set[int]:
    return set(np.unique(grid).tolist())
