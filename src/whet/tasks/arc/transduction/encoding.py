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
    """Pairs that show a rule, and inputs to apply it to, each with the size that its output is made with."""

    context: Sequence[tuple[Cells, Cells]]
    inputs: Sequence[Cells]
    sizes: Sequence[Size]


def encode(questions: Sequence[Question]) -> GridBatch:
    """Lay out questions as one batch; the shorter ones are filled up."""
    import torch

    from whet.models.grid_net import BLANK, SIZE, GridBatch

    context = max(len(question.context) for question in questions)
    queries = max(len(question.inputs) for question in questions)
    grids = [grid for question in questions for grid in (*question.inputs, *(a for a, _ in question.context))]
    inputs = max(grid.size for grid in grids)
    outputs = max(
        max((b.size for question in questions for _, b in question.context), default=1),
        max(rows * columns for question in questions for rows, columns in question.sizes),
    )
    shape = (len(questions), context + queries, 1 + inputs + outputs)
    tokens: Ints = np.zeros(shape, np.int64)
    rows, columns, real = np.zeros_like(tokens), np.zeros_like(tokens), np.zeros(shape, bool)

    def put(place: tuple[int, int], start: int, cells: Any, size: Size) -> None:
        places = (*place, slice(start, start + size[0] * size[1]))
        tokens[places] = cells
        rows[places], columns[places] = _indices(*size)
        real[places] = True

    for number, question in enumerate(questions):
        for pair, (grid, output) in enumerate(question.context):
            put((number, pair), 0, SIZE, (1, 1))
            put((number, pair), 1, grid.ravel(), _size(grid))
            put((number, pair), 1 + inputs, output.ravel(), _size(output))
        for query, (grid, size) in enumerate(zip(question.inputs, question.sizes, strict=True), start=context):
            put((number, query), 0, SIZE, (1, 1))
            put((number, query), 1, grid.ravel(), _size(grid))
            put((number, query), 1 + inputs, BLANK, size)
    return GridBatch(
        tokens=torch.from_numpy(tokens),
        rows=torch.from_numpy(rows),
        columns=torch.from_numpy(columns),
        real=torch.from_numpy(real),
        context=context,
        inputs=inputs,
    )


def encode_answers(answers: Sequence[Sequence[Cells]], batch: GridBatch) -> tuple[Tensor, Tensor]:
    """The targets of the queries of a batch.

    Returns:
        Colours, `(episodes, queries, places of an output)`, and sizes less one, `(episodes, queries, 2)`; `IGNORED`
        where there is none.
    """
    import torch

    places = batch.tokens.shape[2] - 1 - batch.inputs
    cells = np.full((len(answers), batch.queries, places), IGNORED, np.int64)
    sizes = np.full((len(answers), batch.queries, 2), IGNORED, np.int64)
    for number, outputs in enumerate(answers):
        for query, output in enumerate(outputs):
            cells[number, query, : output.size] = output.ravel()
            sizes[number, query] = output.shape[0] - 1, output.shape[1] - 1
    return torch.from_numpy(cells), torch.from_numpy(sizes)


def _size(grid: Cells) -> Size:
    return grid.shape[0], grid.shape[1]


@lru_cache(maxsize=1024)
def _indices(rows: int, columns: int) -> tuple[Ints, Ints]:
    places = np.arange(rows * columns)
    return places // columns, places % columns
