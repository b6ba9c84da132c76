"""Completing what is symmetric or repeats."""

from __future__ import annotations

import numpy as np

from whet.programs.images import Image, bounds, image_of
from whet.programs.kernels.repair import fill_by_period, fill_by_symmetry
from whet.programs.registry import COLOURS, primitive


@primitive(cost=3, constants=(0, *COLOURS))
def complete_symmetry(image: Image, hidden: int) -> Image | None:
    """Cells of a colour get those of their reflections about the axes that fit the rest best."""
    cells = image.cells
    height, width = cells.shape
    covered = cells == hidden
    if not covered.any() or covered.all():
        return None
    best = None
    for turn in (False, True):
        for down in (-1, *range(height // 2, height + height // 2)):
            for across in (-1, *range(width // 2, width + width // 2)):
                if (down < 0 and across < 0) or (turn and (down < 0 or across < 0 or (down + across) % 2)):
                    continue
                out, same, fits = fill_by_symmetry(cells, hidden, down, across, turn)
                if not fits or same < cells.size // 4:
                    continue
                left = int((out == hidden).sum())
                off = abs(down + 1 - height) * (down >= 0) + abs(across + 1 - width) * (across >= 0)
                rank = (left, off, -same)
                if best is None or rank < best[0]:
                    best = (rank, out)
    return image.with_cells(best[1]) if best and (best[1] != cells).any() else None


@primitive(cost=2.5, constants=("rows", "columns", "both", "turned", "transpose", "antitranspose"), each=True)
def symmetrised(image: Image, how: str) -> Image | None:
    """Together with its reflections; the image itself on top."""
    cells = image.cells
    others = {
        "rows": [cells[::-1]],
        "columns": [cells[:, ::-1]],
        "both": [cells[::-1], cells[:, ::-1], cells[::-1, ::-1]],
        "turned": [np.rot90(cells, k) for k in (1, 2, 3)],
        "transpose": [cells.T],
        "antitranspose": [cells[::-1, ::-1].T],
    }[how]
    if any(other.shape != cells.shape for other in others):
        return None
    out = cells.copy()
    for other in others:
        np.copyto(out, other, where=out == 0)
    return image.with_cells(out)


@primitive(cost=3, constants=(0, *COLOURS))
def complete_period(image: Image, hidden: int) -> Image | None:
    """Cells of a colour are filled by the smallest repetition that fits the rest."""
    cells = image.cells
    height, width = cells.shape
    covered = cells == hidden
    if not covered.any() or covered.all():
        return None
    sizes = sorted(
        (down * across, down, across, slant)
        for down in range(1, height + 1)
        for across in range(1, width + 1)
        for slant in (range(across) if down <= 2 else (0,))
    )
    for area, down, across, slant in sizes:
        if area > cells.size // 2:
            return None
        out, left, fits = fill_by_period(cells, hidden, down, across, slant)
        if fits and left == 0:
            return image.with_cells(out)
    return None


@primitive(cost=3, constants=("right", "down", "square"))
def continued(image: Image, where: str) -> Image | None:
    """Twice as long, or until it is square, by the repetition that fits."""
    height, width = image.cells.shape
    across = where == "right" or (where == "square" and width < height)
    cells = image.cells.T if across else image.cells
    length = max(height, width) if where == "square" else 2 * len(cells)
    for period in range(1, len(cells)):
        if np.array_equal(cells[period:], cells[:-period]):
            out = cells[np.arange(length) % period]
            return image_of(out.T if across else out)
    return None


@primitive(cost=2.5, constants=COLOURS)
def symmetric_about(image: Image, colour: int) -> Image | None:
    """Together with its reflections about the middle row and the middle column of a colour."""
    box = bounds((image.cells == colour).astype(np.uint8))
    if box is None:
        return None
    top, left, bottom, right = box
    height, width = image.cells.shape
    rows, columns = top + bottom - 1 - np.arange(height), left + right - 1 - np.arange(width)
    wide = np.pad(image.cells, ((0, 1), (0, 1)))
    rows[(rows < 0) | (rows >= height)] = height
    columns[(columns < 0) | (columns >= width)] = width
    plain_rows, plain_columns = np.arange(height), np.arange(width)
    out = image.cells.copy()
    for place in (np.ix_(rows, plain_columns), np.ix_(plain_rows, columns), np.ix_(rows, columns)):
        np.copyto(out, wide[place], where=out == 0)
    return image.with_cells(out)


@primitive(cost=2.5, constants=(0, *COLOURS))
def hidden_part(image: Image, hidden: int) -> Image | None:
    """The rectangle that a colour covers, with what symmetry or repetition says that it hides."""
    box = bounds((image.cells == hidden).astype(np.uint8))
    if box is None or (box[2] - box[0]) * (box[3] - box[1]) * 2 > image.cells.size:
        return None
    whole = complete_symmetry(image, hidden) or complete_period(image, hidden)
    if whole is None:
        return None
    top, left, bottom, right = box
    return Image(np.ascontiguousarray(whole.cells[top:bottom, left:right]), image.top + top, image.left + left)
