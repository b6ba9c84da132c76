"""Grids as SVG, for pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby

from whet.tasks.arc.grids import Grid
from whet.tasks.arc.palette import PALETTE
from whet.tasks.arc.task import ArcTask

CELL = 14
"""Pixels a cell, for grids that are not wider than `WIDE` cells; larger ones are scaled to that width."""

WIDE = 16
_GAP = 34
_LABEL = 18
_MARGIN = 4
_LINE = "#808080"

LabelledRow = tuple[str, Sequence[Grid]]


def task_svg(task: ArcTask) -> str:
    """A task: each demonstration as input → output in a row, and below them the test inputs."""
    rows: list[LabelledRow] = [
        (f"training pair {number}", (pair.input, pair.output)) for number, pair in enumerate(task.train, start=1)
    ]
    rows += [(f"test input {number}", (grid,)) for number, grid in enumerate(task.test, start=1)]
    return rows_svg(rows)


def rows_svg(rows: Sequence[LabelledRow]) -> str:
    """Rows of grids with arrows between them, each below its label and sizes, as one `<svg>` element.

    Text takes the colour and the font of the page.
    """
    width, height = 0.0, float(_MARGIN)
    parts: list[str] = []
    for label, grids in rows:
        sizes = " → ".join(f"{grid.shape[0]}×{grid.shape[1]}" for grid in grids)
        parts.append(_text(_MARGIN, height + _LABEL - 6, f"{label}, {sizes}"))
        width = max(width, 7.0 * len(label + sizes) + 3 * _MARGIN)
        tallest = max(_size(grid)[1] for grid in grids)
        left = float(_MARGIN)
        for number, grid in enumerate(grids):
            if number:
                parts.append(_text(left + _GAP / 2, height + _LABEL + tallest / 2 + 5, "→", middle=True))
                left += _GAP
            parts.append(_grid(grid, left, height + _LABEL))
            left += _size(grid)[0]
        width = max(width, left + _MARGIN)
        height += _LABEL + tallest + 2 * _MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
        f'viewBox="0 0 {width:g} {height:g}" style="width:{width:g}px;max-width:100%" '
        f'font-family="inherit" font-size="12" fill="currentColor">{"".join(parts)}</svg>'
    )


def _scale(grid: Grid) -> float:
    return CELL * WIDE / float(max(WIDE, *grid.shape))


def _size(grid: Grid) -> tuple[float, float]:
    """Width and height in pixels."""
    rows, columns = grid.shape
    return columns * _scale(grid), rows * _scale(grid)


def _grid(grid: Grid, left: float, top: float) -> str:
    """Bars of equal cells in units of a cell, and lines between the cells over them."""
    rows, columns = grid.shape
    bars = "".join(
        f'<rect x="{x}" y="{y}" width="{length}" height="1" fill="{PALETTE[colour]}"/>'
        for y in range(rows)
        for x, length, colour in _bars(grid, y)
    )
    lines = "".join(f"M0 {y}h{columns}" for y in range(rows + 1)) + "".join(
        f"M{x} 0v{rows}" for x in range(columns + 1)
    )
    # Without crisp edges, the page shines through between two rows.
    return (
        f'<g transform="translate({left:g} {top:g}) scale({_scale(grid):g})" shape-rendering="crispEdges">{bars}'
        f'<path d="{lines}" fill="none" stroke="{_LINE}" stroke-width="1" vector-effect="non-scaling-stroke"/></g>'
    )


def _bars(grid: Grid, row: int) -> Iterator[tuple[int, int, int]]:
    """Where each run of equal cells of a row begins, its length, and its colour."""
    x = 0
    for colour, run in groupby(grid[row].tolist()):
        length = len(list(run))
        yield x, length, colour
        x += length


def _text(x: float, y: float, text: str, *, middle: bool = False) -> str:
    anchor = ' text-anchor="middle"' if middle else ""
    return f'<text x="{x:g}" y="{y:g}"{anchor}>{escape(text)}</text>'
