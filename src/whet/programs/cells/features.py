"""All features of the cells of a grid, with their names and costs."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from whet.programs.cells import local, objects, panels
from whet.programs.cells.local import Features
from whet.programs.images import Grid
from whet.programs.kernels.regions import outside

_PATHS = ("shut in", "shut in by corners")

COLOUR_NAMES: tuple[str, ...] = (
    *local.COLOUR_NAMES,
    *(f"{kind}: {name}" for kind in objects.KINDS for name in objects.COLOUR_NAMES),
    *(f"panel: {name}" for name in panels.COLOUR_NAMES),
)
NAMES: tuple[str, ...] = (
    *COLOUR_NAMES,
    *local.NUMBER_NAMES,
    *_PATHS,
    *(f"{kind}: {name}" for kind in objects.KINDS for name in (*objects.NUMBER_NAMES, *objects.PLACE_NAMES)),
    *(f"panel: {name}" for name in panels.NUMBER_NAMES),
)
PLACES = {name: place for place, name in enumerate(NAMES)}
COPIED = len(COLOUR_NAMES)


_DEAR = ("row", "column", "row from bottom", "column from right", "colours", "from edge")
_DIRECTED = ("neighbour", "seen ", "other ", "foreign ", "two ", "steps ", "nearer ", "first", "last", "row", "column")
_PLAIN = ("neighbours' usual", "between", "shut", "square side", "sides of", "around of")


def _cost(name: str) -> float:
    """Cheap is what does not depend on directions and places."""
    kind, _, rest = name.rpartition(": ")
    if name == "own":
        return 0.5
    if name in _DEAR or rest == "count" or rest in objects.PLACE_NAMES[:4]:
        return 3.0
    if name.startswith(_PLAIN):
        return 1.0
    if " mod " in name or (kind and rest.startswith(("top", "left", "bottom", "right"))):
        return 2.0
    if any(word in name for word in _DIRECTED):
        return 1.5
    return 1.25


COSTS = np.array([_cost(name) for name in NAMES])


def features_of(cells: Grid) -> Features:
    """`(len(NAMES), H * W)`; the first `COPIED` are colours."""
    return _features(cells.shape, cells.tobytes())


@lru_cache(maxsize=64)
def _features(shape: tuple[int, int], data: bytes) -> Features:
    cells = np.frombuffer(data, np.uint8).reshape(shape).copy()
    kinds = [objects.objects_of(cells, kind) for kind in objects.KINDS]
    paths = np.stack([(cells == 0) & ~outside(cells, diagonal) for diagonal in (False, True)]).astype(np.uint8)
    panel_colours, panel_numbers = panels.panels_of(cells)
    whole = [local.colours_of(cells), *(colours for colours, _ in kinds), panel_colours]
    whole += [local.numbers_of(cells), paths, *(numbers for _, numbers in kinds), panel_numbers]
    return np.ascontiguousarray(np.concatenate(whole).reshape(len(NAMES), -1))
