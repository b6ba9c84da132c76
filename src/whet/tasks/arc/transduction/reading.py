"""What the net makes of a task: of each test input, the probabilities of the colours of each cell, in many views.

Each view is undone, so that all speak of the same cells and the same colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from whet.errors import InputError
from whet.tasks.arc.grids import Grid, as_grid
from whet.tasks.arc.task import ArcTask
from whet.tasks.arc.transduction.encoding import Question, Size, encode, places, size_of
from whet.tasks.arc.transduction.looks import Look
from whet.tasks.arc.transduction.output_sizes import ruled_size

if TYPE_CHECKING:
    from whet.models.grid_net import GridNet

Floats = npt.NDArray[np.float32]
_TOKENS = 8000
"""About how many tokens go into one pass."""


@dataclass(frozen=True)
class Reading:
    """Of one test input.

    Attributes:
        symmetries: the name of the symmetry of each view.
        cells: log probability of each colour of each cell in each view, `(views, rows, columns, 10)`.
    """

    symmetries: tuple[str, ...]
    cells: Floats

    @property
    def answers(self) -> list[Grid]:
        """The most probable grid in each view."""
        return [as_grid(grid) for grid in self.cells.argmax(-1)]

    def votes(self, answer: Grid) -> int:
        """How many views give this grid as their answer."""
        return sum(np.array_equal(answer, one) for one in self.answers)

    def scores(self, answer: Grid) -> Floats:
        """The log probability of a grid in each view, `(views,)`; minus infinity if it is of another size."""
        if answer.shape != self.cells.shape[1:3]:
            return np.full(len(self.cells), -np.inf, np.float32)
        picked = np.take_along_axis(self.cells, answer.astype(np.intp)[None, ..., None], axis=-1)
        found: Floats = picked.sum(axis=(1, 2, 3))
        return found


def read(net: GridNet, task: ArcTask, seen_as: Sequence[Look], *, context: bool = True) -> list[Reading]:
    """What the net makes of each test input; its output is as large as the demonstrations' rule or the net says.

    Args:
        net: the net.
        task: the task.
        seen_as: the views.
        context: whether the net is shown the demonstrations.

    Raises:
        InputError: there is no view.
    """
    if not seen_as:
        raise InputError("there is no view to look at the task in; give at least Look().")
    sizes = _sizes(net, task, seen_as, context)
    found: list[list[Floats]] = [[] for _ in task.test]
    questions = [_question(task, look, sizes, context) for look in seen_as]
    for look, question, logits in zip(seen_as, questions, _cells(net, questions), strict=True):
        for number, (grid, size) in enumerate(zip(question.inputs, map(look.size, sizes), strict=True)):
            there = places(size_of(grid), size)[3]
            found[number].append(look.undo(logits[number, 1 + there].reshape(*size, -1)))
    symmetries = tuple(look.symmetry for look in seen_as)
    return [Reading(symmetries, np.stack(cells)) for cells in found]


def _sizes(net: GridNet, task: ArcTask, seen_as: Sequence[Look], context: bool) -> list[Size]:
    ruled = [ruled_size(task.train, grid) for grid in task.test]
    known = [size for size in ruled if size is not None]
    if len(known) == len(ruled):
        return known
    questions = [_question(task, look, [None] * len(ruled), context) for look in seen_as]
    totals = np.zeros((len(ruled), 2, 30))
    for look, sides in zip(seen_as, _sides(net, questions), strict=True):
        totals += sides[:, ::-1] if look.swaps else sides
    told = [(int(rows) + 1, int(columns) + 1) for rows, columns in totals.argmax(-1)]
    return [size or other for size, other in zip(ruled, told, strict=True)]


def _question(task: ArcTask, look: Look, sizes: Sequence[Size | None], context: bool) -> Question:
    shown = look.pairs((pair.input, pair.output) for pair in task.train) if context else []
    return Question(shown, [look.grid(grid) for grid in task.test], [size and look.size(size) for size in sizes])


def _cells(net: GridNet, questions: Sequence[Question]) -> list[Floats]:
    return [row for part in _passes(net, questions) for row in part[0]]


def _sides(net: GridNet, questions: Sequence[Question]) -> list[Floats]:
    return [row for part in _passes(net, questions) for row in part[1]]


@torch.no_grad()
def _passes(net: GridNet, questions: Sequence[Question]) -> list[tuple[Floats, Floats]]:
    """Log probabilities of cells and of sizes, from a few questions at a time: their order is kept."""
    each = encode(questions[:1]).inputs.numel()
    at_once = max(1, _TOKENS // each)
    found = []
    for start in range(0, len(questions), at_once):
        cells, sizes = net(encode(questions[start : start + at_once]))
        found.append((cells.log_softmax(-1).numpy(), sizes.log_softmax(-1).numpy()))
    return found
