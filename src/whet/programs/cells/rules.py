"""Rules for cells as nested tuples, which the text of a program holds, and as arrays, which kernels follow.

A rule is a colour, `"own"` to keep the colour, the name of a feature to copy, or
`(feature, "==" or "<=", value, rule if so, rule if not)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.programs.cells.features import NAMES, features_of
from whet.programs.cells.sweep import MADE, sweep
from whet.programs.cells.tree import follow
from whet.programs.images import Image

FIRST_COPY = 11


def nested(nodes: NDArray[np.int32], names: Sequence[str], node: int = 0) -> Any:
    """The rule of a tree as `grow` returns it."""
    feature, kind, value, yes, no = (int(part) for part in nodes[node])
    if feature < 0:
        return "own" if yes == 0 else yes - 1 if yes < FIRST_COPY else names[yes - FIRST_COPY]
    return (names[feature], "<=" if kind else "==", value, nested(nodes, names, yes), nested(nodes, names, no))


def nodes_of(rule: Any, names: Sequence[str]) -> NDArray[np.int32]:
    """The tree of a rule."""
    places = {name: place for place, name in reversed(list(enumerate(names)))}
    rows: list[list[int]] = []

    def add(part: Any) -> int:
        row = [-1, -1, -1, -1, -1]
        rows.append(row)
        place = len(rows) - 1
        if isinstance(part, tuple):
            row[:3] = [places[part[0]], int(part[1] == "<="), part[2]]
            row[3], row[4] = add(part[3]), add(part[4])
        elif isinstance(part, int):
            row[3] = part + 1
        else:
            row[3] = places[part] + FIRST_COPY if part in places and part != "own" else 0
        return place

    add(rule)
    return np.array(rows, np.int32)


def predicted(nodes: NDArray[np.int32], features: NDArray[np.uint8], own: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The colours that a tree gives, `(N,)`; above 9 where it copies what is not there."""
    actions = follow(nodes, features)
    cells = np.where(actions == 0, own, actions - 1).astype(np.uint8)
    copies = np.flatnonzero(actions >= FIRST_COPY)
    cells[copies] = features[actions[copies] - FIRST_COPY, copies]
    return cells


def follow_rule(images: Sequence[Image], rule: Any) -> Image | None:
    """The rule for every cell of the first image; `#k` is the colour in the k-th of the others, from 0."""
    base = images[0].cells
    extra = [image.cells.ravel() for image in images[1:]]
    names = (*(f"#{place}" for place in range(len(extra))), *NAMES)
    features = np.ascontiguousarray(
        np.concatenate([np.array(extra, np.uint8).reshape(-1, base.size), features_of(base)])
    )
    cells = predicted(nodes_of(rule, names), features, base.ravel())
    return None if (cells > 9).any() else images[0].with_cells(cells.reshape(base.shape))


def sweep_rule(images: Sequence[Image], rule: Any) -> Image | None:
    """The rule cell by cell in reading order; it may ask for what it has made so far."""
    base = images[0].cells
    features = np.concatenate([np.zeros((len(MADE), base.size), np.uint8), features_of(base)])
    cells = sweep(nodes_of(rule, (*MADE, *NAMES)), features, base.ravel(), *base.shape)
    return None if (cells > 9).any() else images[0].with_cells(cells)
