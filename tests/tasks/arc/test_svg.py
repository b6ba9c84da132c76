"""What is drawn is read back cell by cell."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from whet.tasks.arc import ArcTask, Grid, Pair, as_grid
from whet.tasks.arc.palette import PALETTE
from whet.tasks.arc.svg import CELL, WIDE, rows_svg, task_svg

NAME = "{http://www.w3.org/2000/svg}"
shapes = st.tuples(st.integers(1, 30), st.integers(1, 30))
grids = arrays(np.uint8, shapes, elements=st.integers(0, 9)).map(as_grid)


def read_back(group: ElementTree.Element) -> list[list[int]]:
    cells = {}
    for bar in group.iter(f"{NAME}rect"):
        for x in range(int(bar.attrib["width"])):
            cells[int(bar.attrib["y"]), int(bar.attrib["x"]) + x] = PALETTE.index(bar.attrib["fill"])
    rows, columns = (1 + max(place[axis] for place in cells) for axis in (0, 1))
    assert len(cells) == rows * columns
    return [[cells[y, x] for x in range(columns)] for y in range(rows)]


def place(group: ElementTree.Element) -> tuple[float, float, float]:
    left, top, scale = re.findall(r"[\d.]+", group.attrib["transform"])
    return float(left), float(top), float(scale)


@given(st.lists(grids, min_size=1, max_size=3))
def test_the_grids_are_read_back_and_stand_side_by_side_within_the_drawing(row: list[Grid]) -> None:
    drawing = ElementTree.fromstring(rows_svg([("pair", row)]))
    groups = drawing.findall(f"{NAME}g")
    assert [read_back(group) for group in groups] == [grid.tolist() for grid in row]
    end = 0.0
    for group, grid in zip(groups, row, strict=True):
        left, top, scale = place(group)
        assert scale * max(grid.shape) <= CELL * WIDE + 1e-3
        assert left > end
        end = left + scale * grid.shape[1]
        assert end <= float(drawing.attrib["width"])
        assert top + scale * grid.shape[0] <= float(drawing.attrib["height"])
    assert sum(text.text == "→" for text in drawing.iter(f"{NAME}text")) == len(row) - 1


def test_a_task_has_a_row_for_every_pair_and_test_input() -> None:
    one, two = as_grid([[1]]), as_grid([[1, 2], [3, 4], [5, 6]])
    drawing = ElementTree.fromstring(task_svg(ArcTask("x", (Pair(one, two), Pair(two, one)), (two,))))
    labels = [text.text for text in drawing.iter(f"{NAME}text") if text.text != "→"]
    assert labels == ["training pair 1, 1×1 → 3×2", "training pair 2, 3×2 → 1×1", "test input 1, 3×2"]
    tops = [place(group)[1] for group in drawing.findall(f"{NAME}g")]
    assert tops[0] == tops[1] < tops[2] == tops[3] < tops[4]


def test_labels_are_escaped() -> None:
    assert "a&lt;b&gt;&amp;" in rows_svg([("a<b>&", [as_grid([[1]])])])
