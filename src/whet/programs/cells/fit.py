"""Rules for cells that reproduce all training pairs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whet.programs.candidates import Candidate
from whet.programs.canvas import Pieces
from whet.programs.cells.features import COPIED, COSTS, NAMES, features_of
from whet.programs.cells.learn import Table, Tree, trees
from whet.programs.cells.rules import nested, predicted
from whet.programs.cells.sweep import MADE, made, sweep
from whet.programs.cells.tree import uncertainty
from whet.programs.expressions import Expression
from whet.programs.images import Grid, Image
from whet.programs.limits import Meter
from whet.programs.primitives.geometry import turn
from whet.programs.search import State

MASKS = 14
SWEEP_COST = 2.0
_BACK = {"left": "right", "right": "left"}


def _table(
    images: Sequence[Grid],
    outputs: Sequence[Grid],
    names: Sequence[str],
    extra: NDArray[np.uint8],
    costs: NDArray[np.float64],
) -> Table:
    """Features of the images' cells after `extra` ones `(E, N)`, which may be copied."""
    seen = np.concatenate([features_of(image) for image in images], axis=1)
    return Table(
        np.ascontiguousarray(np.concatenate([extra, seen])),
        (*names, *NAMES),
        np.concatenate([costs, COSTS]),
        len(names) + COPIED,
        np.concatenate([image.ravel() for image in images]),
        np.concatenate([output.ravel() for output in outputs]).astype(np.uint8),
        np.repeat(np.arange(len(outputs)), [output.size for output in outputs]),
    )


@dataclass(frozen=True)
class Base:
    """Images of the size of the outputs, for training pairs and then for tests, whose cells a rule changes."""

    images: list[Grid]
    expression: Expression
    cost: float


def bases(canvas: State, pieces: Pieces, most: int) -> list[Base]:
    """The canvas, the same without its background, and the pieces that tell most about the outputs for their cost."""
    out = [Base([value.cells for value in canvas.values if isinstance(value, Image)], canvas.expression, canvas.cost)]
    order = np.argsort(uncertainty(pieces.seen, pieces.target) + 2 * pieces.costs, kind="stable").tolist()
    cleared = Expression("empty_background", (canvas.expression,))
    order.sort(key=lambda piece: pieces.expressions[piece] != cleared)
    for piece in order[:most]:
        if pieces.expressions[piece] != canvas.expression and len(out) < most:
            out.append(Base(pieces.images(piece), pieces.expressions[piece], float(pieces.costs[piece])))
    return out


def cell_rules(
    base: Base, outputs: Sequence[Grid], pieces: Pieces, extra: int, meter: Meter, name: str
) -> Iterator[Candidate]:
    """Trees over the features of the base's cells and over the colours that `extra` pieces have there."""
    images = base.images
    n = len(outputs)
    used = _relevant(pieces, images[:n], extra)
    names = [f"#{place}" for place in range(len(used))]
    table = _table(images[:n], outputs, names, pieces.seen[used], pieces.costs[used])
    tests = np.concatenate([features_of(image) for image in images[n:]], axis=1)
    tests = np.ascontiguousarray(np.concatenate([pieces.unseen[used], tests]))
    own = np.concatenate([image.ravel() for image in images[n:]])
    for tree in trees(table, MASKS, meter):
        cells = predicted(tree.nodes, tests, own)
        if (cells > 9).any():
            continue
        needed = [feature for feature in tree.asked if feature < len(used)]
        places = {f"#{feature}": f"#{place}" for place, feature in enumerate(needed)}
        rule = nested(tree.nodes, [places.get(feature, feature) for feature in table.names])
        arguments = (base.expression, *(pieces.expressions[used[feature]] for feature in needed))
        yield Candidate(Expression("cells", arguments, rule), base.cost + tree.cost, pieces.grids(cells), name)


def _relevant(pieces: Pieces, images: Sequence[Grid], most: int) -> NDArray[np.int64]:
    """Half of them the cheapest pieces, half those that tell most, for their cost, about what happens to a cell."""
    if not most:
        return np.zeros(0, np.int64)
    own = np.concatenate([image.ravel() for image in images])
    labels = np.where(own == pieces.target, 0, pieces.target + 1).astype(np.uint8)
    cheap = np.argsort(pieces.costs, kind="stable")
    telling = np.argsort(uncertainty(pieces.seen, labels) + 2 * pieces.costs, kind="stable")
    return np.array(list(dict.fromkeys([*cheap[: most // 2].tolist(), *telling[: most // 2].tolist()])))


def sweep_rules(base: Base, outputs: Sequence[Grid], meter: Meter) -> Iterator[Candidate]:
    """Trees that also ask for what they have made so far, in each of the eight reading orders."""
    n = len(outputs)
    for how in ("", "rows", "columns", "both", "transpose", "antitranspose", "left", "right"):
        turned = [turn(Image(image), how).cells if how else image for image in base.images]
        targets = [turn(Image(output), how).cells if how else output for output in outputs]
        before = np.concatenate([made(target.astype(np.uint8)) for target in targets], axis=1)
        table = _table(turned[:n], targets, MADE, before, np.ones(len(MADE)))
        for tree in trees(table, 1, meter):
            if all(feature >= len(MADE) for feature in tree.asked):
                continue
            grids = [_swept(tree, image) for image in turned[n:]]
            if any((grid > 9).any() for grid in grids):
                continue
            argument = Expression("turn", (base.expression,), how) if how else base.expression
            expression = Expression("sweep", (argument,), nested(tree.nodes, table.names))
            if how:
                expression = Expression("turn", (expression,), _BACK.get(how, how))
                grids = [turn(Image(grid), _BACK.get(how, how)).cells for grid in grids]
            yield Candidate(expression, base.cost + tree.cost + SWEEP_COST, grids, "sweep")


def _swept(tree: Tree, image: Grid) -> Grid:
    features = np.concatenate([np.zeros((len(MADE), image.size), np.uint8), features_of(image)])
    return sweep(tree.nodes, features, image.ravel(), *image.shape)
