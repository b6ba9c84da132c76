"""Episodes laid out as `whet.models.grid_net` reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor

    from whet.models.grid_net import GridBatch

Cells: TypeAlias = npt.NDArray[np.uint8]
Ints: TypeAlias = npt.NDArray[np.int64]
Size: TypeAlias = tuple[int, int]
IGNORED = -100
"""The target where there is no cell."""


@dataclass(frozen=True)
class Question:
    """Pairs that show a rule, and inputs to apply it to, each with the size that its output is made with.

    Where that is None, there is no canvas, and the size is what is asked for.
    """

    context: Sequence[tuple[Cells, Cells]]
    inputs: Sequence[Cells]
    sizes: Sequence[Size | None]


def encode(questions: Sequence[Question]) -> GridBatch:
    """Lay out questions as one batch; the shorter ones are filled up."""
    import torch

    from whet.models.grid_net import BLANK, NONE, SIZE, GridBatch

    context = max(len(question.context) for question in questions)
    queries = max(len(question.inputs) for question in questions)
    shape = (len(questions), context + queries, 1 + max(map(longest, questions)))
    inputs, outputs = np.full(shape, NONE, np.int64), np.full(shape, NONE, np.int64)
    rows, columns, real = np.zeros_like(inputs), np.zeros_like(inputs), np.zeros(shape, bool)

    def put(place: tuple[int, int], grid: Cells, size: Size, output: Any) -> None:
        r, c, of_input, of_output = places(size_of(grid), size)
        inputs[(*place, 0)] = SIZE
        rows[(*place, slice(1, 1 + len(r)))] = r
        columns[(*place, slice(1, 1 + len(r)))] = c
        real[(*place, slice(0, 1 + len(r)))] = True
        inputs[(*place, 1 + of_input)] = grid.ravel()
        outputs[(*place, 1 + of_output)] = output

    for number, question in enumerate(questions):
        for pair, (grid, output) in enumerate(question.context):
            put((number, pair), grid, size_of(output), output.ravel())
        for query, (grid, size) in enumerate(zip(question.inputs, question.sizes, strict=True), start=context):
            put((number, query), grid, size or (0, 0), BLANK)
    return GridBatch(
        inputs=torch.from_numpy(inputs),
        outputs=torch.from_numpy(outputs),
        rows=torch.from_numpy(rows),
        columns=torch.from_numpy(columns),
        real=torch.from_numpy(real),
        context=context,
    )


def encode_answers(
    questions: Sequence[Question], answers: Sequence[Sequence[Cells]], batch: GridBatch
) -> tuple[Tensor, Tensor]:
    """The targets of the queries of a batch: colours where there is a canvas, else the size.

    Returns:
        Colours, `(episodes, queries, places)`, and sizes less one, `(episodes, queries, 2)`; `IGNORED` elsewhere.
    """
    import torch

    cells = np.full((len(answers), batch.queries, batch.inputs.shape[2]), IGNORED, np.int64)
    sizes = np.full((len(answers), batch.queries, 2), IGNORED, np.int64)
    for number, (question, outputs) in enumerate(zip(questions, answers, strict=True)):
        for query, (grid, size, output) in enumerate(zip(question.inputs, question.sizes, outputs, strict=True)):
            if size is None:
                sizes[number, query] = output.shape[0] - 1, output.shape[1] - 1
            else:
                cells[number, query, 1 + places(size_of(grid), size)[3]] = output.ravel()
    return torch.from_numpy(cells), torch.from_numpy(sizes)


@lru_cache(maxsize=4096)
def places(given: Size, made: Size) -> tuple[Ints, Ints, Ints, Ints]:
    """The places that an input or an output covers, row by row.

    Returns:
        Rows and columns of the places; then at which of them the cells of the input are, and those of the output.
    """
    rows, columns = max(given[0], made[0]), max(given[1], made[1])
    r, c = (axis.ravel() for axis in np.indices((rows, columns)))
    of_input, of_output = ((r < size[0]) & (c < size[1]) for size in (given, made))
    covered = of_input | of_output
    return r[covered], c[covered], np.flatnonzero(of_input[covered]), np.flatnonzero(of_output[covered])


def longest(question: Question) -> int:
    """Places of the largest pair."""
    sizes = [(size_of(a), size_of(b)) for a, b in question.context]
    sizes += [(size_of(grid), size or (0, 0)) for grid, size in zip(question.inputs, question.sizes, strict=True)]
    return max(len(places(*both)[0]) for both in sizes)


def size_of(grid: Cells) -> Size:
    """Rows and columns."""
    return grid.shape[0], grid.shape[1]
