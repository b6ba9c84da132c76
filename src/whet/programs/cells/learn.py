"""Trees over the cells of the training pairs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whet.programs.cells.rules import FIRST_COPY
from whet.programs.cells.tree import LEAVES, follow, grow
from whet.programs.limits import Meter

SCHEMES = 3
SEED = 0
KEPT = 0.5
NODE_COST = 1.0
LEFT_OUT_COST = 3.0


@dataclass(frozen=True)
class Table:
    """The cells of all pairs as rows to learn from.

    Attributes:
        features: `(F, N)` of the training cells; the first `copied` are colours.
        names: of the features.
        costs: `(F,)`.
        copied: how many features may be copied to the output.
        own: `(N,)`, the colours of the base.
        target: `(N,)`.
        pairs: `(N,)`, which training pair a cell belongs to.
    """

    features: NDArray[np.uint8]
    names: Sequence[str]
    costs: NDArray[np.float64]
    copied: int
    own: NDArray[np.uint8]
    target: NDArray[np.uint8]
    pairs: NDArray[np.int64]


@dataclass(frozen=True)
class Tree:
    """A tree that reproduces every training cell.

    Attributes:
        nodes: as `grow` returns them.
        cost: of what it asks for and copies, of its size, and of failing on pairs that it was not learnt from.
        asked: the features that it asks for or copies.
    """

    nodes: NDArray[np.int32]
    cost: float
    asked: list[int]


def trees(table: Table, masks: int, meter: Meter) -> Iterator[Tree]:
    """For each way to name what happens to a cell a tree over all features, and some over a random half of them."""
    options = _options(table)
    rng = np.random.default_rng(SEED)
    everything = np.ones(len(table.names), np.bool_)
    known: set[bytes] = set()
    for labels in _schemes(table):
        penalty = None
        for draw in range(masks + 1):
            if not meter.go_on():
                return
            kept = rng.random(len(table.names)) < KEPT if draw else everything
            nodes, number = grow(table.features, labels, options, table.costs, kept, 2 * LEAVES)
            if not number and not draw:
                break
            if number and nodes[:number].tobytes() not in known:
                known.add(nodes[:number].tobytes())
                if penalty is None:
                    penalty = LEFT_OUT_COST * (1 - _left_out(table, labels, options))
                asked = _asked(nodes[:number])
                cost = float(table.costs[asked].sum()) + NODE_COST * number + penalty
                yield Tree(nodes[:number], cost, sorted(set(asked.tolist())))


def _schemes(table: Table) -> list[NDArray[np.uint8]]:
    """Ways to name what happens to a cell: unchanged, a colour, or the copy of a feature that explains many.

    The last way names as few copied features as it needs for the cells that change.
    """
    changed = table.target != table.own
    plain = np.where(changed, table.target + 1, 0).astype(np.uint8)
    out = [plain]
    if len(set(table.target[changed].tolist())) < 2:
        return out
    copies = table.features[: table.copied] == table.target
    explained = copies[:, changed].sum(axis=1)
    for feature in np.argsort(-explained, kind="stable")[:SCHEMES]:
        if explained[feature] * 3 > changed.sum():
            out.append(np.where(changed & copies[feature], np.uint8(15), plain))
    cover, left = plain.copy(), changed.copy()
    for label in (15, 14, 13, 12, 11):
        best = int(copies[:, left].sum(axis=1).argmax())
        cover[left & copies[best]] = label
        left &= ~copies[best]
        if not left.any():
            out.append(cover)
            break
    return out


def _options(table: Table) -> NDArray[np.uint8]:
    """`(A, N)`: keeping the colour, each of the ten colours, each copy; 1 where that is right."""
    constants = np.arange(10, dtype=np.uint8)[:, None] == table.target
    copies = table.features[: table.copied] == table.target
    return np.concatenate([[table.own == table.target], constants, copies]).astype(np.uint8)


def _left_out(table: Table, labels: NDArray[np.uint8], options: NDArray[np.uint8]) -> float:
    """The share of training pairs that a tree gets right which was learnt from the others."""
    n = int(table.pairs[-1]) + 1
    right = 0
    everything = np.ones(len(table.names), np.bool_)
    for pair in range(n):
        rest = table.pairs != pair
        learnt = [np.ascontiguousarray(part[:, rest]) for part in (table.features, options)]
        if not rest.any():
            return 0.0
        nodes, number = grow(learnt[0], labels[rest], learnt[1], table.costs, everything, 2 * LEAVES)
        if number:
            actions = follow(nodes, np.ascontiguousarray(table.features[:, ~rest]))
            right += bool(options[actions, np.flatnonzero(~rest)].all())
    return right / n


def _asked(nodes: NDArray[np.int32]) -> NDArray[np.int32]:
    leaves = nodes[:, 0] < 0
    copies = nodes[leaves, 3] - FIRST_COPY
    return np.concatenate([nodes[~leaves, 0], copies[copies >= 0]])
