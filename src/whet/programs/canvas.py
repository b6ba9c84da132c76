"""The extent of an output, and every image that the search found brought to that extent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whet.programs.expressions import Expression
from whet.programs.images import Grid, Image, window
from whet.programs.registry import IMAGE
from whet.programs.search import State, kind_of

MOST_PIECES = 4000
"""Pieces for one canvas, where there are no more than five times as many programs."""

MOST_CELLS = 100_000_000
"""Cells of all pieces, where there are more of them."""


@dataclass(frozen=True)
class Pieces:
    """Images that have the size of the outputs, cell by cell.

    Attributes:
        expressions: the program of each piece.
        costs: `(P,)`, theirs.
        seen: `(P, N)`, the cells of all training pairs, one after the other.
        unseen: `(P, M)`, the cells of all tests.
        target: `(N,)`, the cells of the training outputs.
        shapes: of the outputs, for training pairs and then for tests.
        pairs: how many training pairs there are.
    """

    expressions: list[Expression]
    costs: NDArray[np.float64]
    seen: NDArray[np.uint8]
    unseen: NDArray[np.uint8]
    target: NDArray[np.uint8]
    shapes: list[tuple[int, int]]
    pairs: int

    def grids(self, cells: NDArray[np.uint8]) -> list[Grid]:
        """The cells of all tests as one grid for each."""
        return _apart(cells, self.shapes[self.pairs :])

    def images(self, piece: int) -> list[Grid]:
        """One piece as grids, for the training pairs and then for the tests."""
        return _apart(np.concatenate([self.seen[piece], self.unseen[piece]]), self.shapes)


def _apart(cells: NDArray[np.uint8], shapes: Sequence[tuple[int, int]]) -> list[Grid]:
    ends = np.cumsum([height * width for height, width in shapes])
    return [part.reshape(shape) for part, shape in zip(np.split(cells, ends[:-1]), shapes, strict=True)]


def canvases(states: Sequence[State], outputs: Sequence[Grid], most: int) -> list[State]:
    """The cheapest programs whose images have the sizes of all training outputs, of distinct extents."""
    found: dict[tuple[tuple[int, ...], ...], State] = {}
    shapes = [output.shape for output in outputs]
    for state in sorted(states, key=lambda state: state.cost):
        if kind_of(state) != IMAGE:
            continue
        images = [value for value in state.values if isinstance(value, Image)]
        if all(image.cells.shape == shape for image, shape in zip(images, shapes, strict=False)):
            extent = tuple((image.top, image.left, *image.cells.shape) for image in images)
            found.setdefault(extent, state)
            if len(found) == most:
                break
    return list(found.values())


def pieces_of(states: Sequence[State], canvas: State, outputs: Sequence[Grid]) -> Pieces:
    """Every image of the search at the extent of the canvas: as it is where the sizes agree, else cut to it.

    The first `MOST_PIECES`, or as many as a fifth of the programs, if that is more and they have no more than
    `MOST_CELLS`.
    """
    frames = [value for value in canvas.values if isinstance(value, Image)]
    shapes = [frame.cells.shape for frame in frames]
    most = max(MOST_PIECES, min(len(states) // 5, MOST_CELLS // sum(frame.cells.size for frame in frames)))
    rows: dict[bytes, tuple[float, Expression]] = {}
    for state in states:
        if kind_of(state) != IMAGE:
            continue
        images = [value for value in state.values if isinstance(value, Image)]
        if all(image.cells.shape == shape for image, shape in zip(images, shapes, strict=True)):
            row = b"".join([image.cells.tobytes() for image in images])
            if row not in rows or rows[row][0] > state.cost:
                rows[row] = (state.cost, state.expression)
        if any(
            (image.top, image.left, *image.cells.shape) != (frame.top, frame.left, *frame.cells.shape)
            for image, frame in zip(images, frames, strict=True)
        ):
            parts = [
                window(image, frame.top, frame.left, *frame.cells.shape)
                for image, frame in zip(images, frames, strict=True)
            ]
            if not all(part.any() for part in parts[: len(outputs)]):
                continue
            row = b"".join([part.tobytes() for part in parts])
            cost = state.cost + canvas.cost + 0.5
            if row not in rows or rows[row][0] > cost:
                rows[row] = (cost, Expression("cut_to", (state.expression, canvas.expression)))
        if len(rows) >= most:
            break
    table = np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), -1)
    target = np.concatenate([output.ravel() for output in outputs]).astype(np.uint8)
    return Pieces(
        [expression for _, expression in rows.values()],
        np.array([cost for cost, _ in rows.values()]),
        np.ascontiguousarray(table[:, : len(target)]),
        np.ascontiguousarray(table[:, len(target) :]),
        target,
        [(shape[0], shape[1]) for shape in shapes],
        len(outputs),
    )
