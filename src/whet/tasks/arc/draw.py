"""Grids in a terminal: in colour, or as digits where there is none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest

from rich.console import Console
from rich.style import Style
from rich.text import Text

from whet.tasks.arc.grids import Grid
from whet.tasks.arc.palette import PALETTE
from whet.tasks.arc.task import ArcTask

# Black as it is would leave the borders of a grid invisible on a black terminal.
_COLOURS = ("#262626", *PALETTE[1:])

_ARROW = " → "

Drawer = Callable[[Grid], list[Text]]
"""The lines of a grid, all of one length."""


def print_task(task: ArcTask, console: Console) -> None:
    """Print the grids of a task: each demonstration as input → output, and below them the test inputs.

    A cell is two columns wide where a pair then fits into the width of the console. Where it does not, it is one
    column, and in colour a line holds two rows.
    """
    for number, pair in enumerate(task.train, start=1):
        print_grids(f"training pair {number}", (pair.input, pair.output), console)
    for number, grid in enumerate(task.test, start=1):
        print_grids(f"test input {number}", (grid,), console)


def print_grids(title: str, grids: Sequence[Grid], console: Console) -> None:
    """Print grids side by side, with arrows between them, below a line with the title and their sizes."""
    sizes = _ARROW.join(f"{rows}×{columns}" for rows, columns in (grid.shape for grid in grids))
    console.print(Text(f"\n{title}, {sizes}"))
    drawn = [_drawer(grids, console)(grid) for grid in grids]
    height = max(map(len, drawn))
    widths = [len(lines[0]) for lines in drawn]
    for number, parts in enumerate(zip_longest(*drawn)):
        line = Text()
        for index, part in enumerate(parts):
            if index:
                line.append(_ARROW if number == (height - 1) // 2 else " " * len(_ARROW))
            line.append_text(part or Text(" " * widths[index]))
        console.print(line, no_wrap=True, overflow="crop")


def _drawer(grids: Sequence[Grid], console: Console) -> Drawer:
    width = sum(2 * grid.shape[1] for grid in grids) + len(_ARROW) * (len(grids) - 1)
    if console.color_system is None or console.no_color:
        return _spaced_digits if width <= console.width else _digits
    return _blocks if width <= console.width else _half_blocks


def _blocks(grid: Grid) -> list[Text]:
    return [Text.assemble(*(("  ", Style(bgcolor=_COLOURS[cell])) for cell in row)) for row in grid]


def _half_blocks(grid: Grid) -> list[Text]:
    """Two rows a line: the upper is the colour of the character, the lower that of what is behind it."""
    lines = []
    for upper, lower in zip_longest(grid[::2], grid[1::2]):
        styles = [
            Style(color=_COLOURS[cell], bgcolor=None if lower is None else _COLOURS[lower[column]])
            for column, cell in enumerate(upper)
        ]
        lines.append(Text.assemble(*(("▀", style) for style in styles)))
    return lines


def _spaced_digits(grid: Grid) -> list[Text]:
    return [Text(" ".join(map(str, row))) for row in grid]


def _digits(grid: Grid) -> list[Text]:
    return [Text("".join(map(str, row))) for row in grid]
