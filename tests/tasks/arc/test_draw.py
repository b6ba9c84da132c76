"""What is drawn is read back cell by cell."""

from __future__ import annotations

from io import StringIO

import numpy as np
import pytest
from rich.ansi import AnsiDecoder
from rich.cells import cell_len
from rich.color import Color
from rich.console import Console
from rich.text import Text

from whet.tasks.arc import ArcTask, Grid, Pair, as_grid
from whet.tasks.arc.draw import print_grids, print_task
from whet.tasks.arc.palette import PALETTE

COLOURS = ["#262626", *PALETTE[1:]]


def some_grid(rows: int, columns: int, seed: int = 0) -> Grid:
    return as_grid(np.random.default_rng(seed).integers(0, 10, (rows, columns)))


def printed(grids: list[Grid], *, width: int, colour: bool) -> str:
    file = StringIO()
    console = Console(file=file, width=width, force_terminal=colour, color_system="truecolor" if colour else None)
    print_grids("pair", grids, console)
    return file.getvalue()


def number(colour: Color | None) -> int | None:
    return None if colour is None or colour.is_default else COLOURS.index(colour.get_truecolor().hex)


def background(line: Text, column: int) -> int | None:
    return number(line.get_style_at_offset(Console(), column).bgcolor)


def foreground(line: Text, column: int) -> int | None:
    return number(line.get_style_at_offset(Console(), column).color)


def test_two_columns_a_cell_are_read_back() -> None:
    left, right = some_grid(3, 4), some_grid(5, 6, seed=1)
    lines = list(AnsiDecoder().decode(printed([left, right], width=80, colour=True)))[2:-1]
    assert [[background(lines[y], 2 * x) for x in range(4)] for y in range(3)] == left.tolist()
    assert [[background(lines[y], 2 * x + 1) for x in range(4)] for y in range(3)] == left.tolist()
    assert [[background(lines[y], 8 + 3 + 2 * x) for x in range(6)] for y in range(5)] == right.tolist()
    assert [line.plain[8:11] for line in lines] == ["   ", "   ", " → ", "   ", "   "]
    assert {background(line, column) for line in lines[3:] for column in range(11)} == {None}


@pytest.mark.parametrize("rows", [29, 30])
def test_half_blocks_put_two_rows_into_a_line_when_the_pair_is_wide(rows: int) -> None:
    left, right = some_grid(rows, 30), some_grid(30, 30, seed=1)
    lines = list(AnsiDecoder().decode(printed([left, right], width=80, colour=True)))[2:-1]
    assert len(lines) == 15
    assert max(cell_len(line.plain) for line in lines) == 63
    for first, grid in ((0, left), (33, right)):
        for y, row in enumerate(grid.tolist()):
            read = foreground if y % 2 == 0 else background
            assert [read(lines[y // 2], first + x) for x in range(30)] == row
    assert (background(lines[14], 0) is None) == (rows == 29)


@pytest.mark.parametrize(("columns", "between"), [(3, " "), (30, "")])
def test_without_colour_the_cells_are_digits(columns: int, between: str) -> None:
    grid = some_grid(2, columns)
    lines = printed([grid, grid], width=80, colour=False).splitlines()
    rows = [between.join(map(str, row)) for row in grid.tolist()]
    assert lines == ["", f"pair, 2×{columns} → 2×{columns}", f"{rows[0]} → {rows[0]}", f"{rows[1]}   {rows[1]}"]


def test_a_task_shows_all_pairs_and_test_inputs_within_80_columns() -> None:
    pairs = (Pair(some_grid(1, 2), some_grid(3, 1)), Pair(some_grid(30, 30), some_grid(30, 30)))
    file = StringIO()
    print_task(ArcTask("x", pairs, (some_grid(2, 2), some_grid(20, 28))), Console(file=file, width=80))
    shown = file.getvalue()
    titles = [
        "training pair 1, 1×2 → 3×1",
        "training pair 2, 30×30 → 30×30",
        "test input 1, 2×2",
        "test input 2, 20×28",
    ]
    assert [line for line in shown.splitlines() if "×" in line] == titles
    assert max(map(len, shown.splitlines())) <= 80
