"""Greedy composition: pieces that are right wherever they can be seen, on top of one that is right elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from whet.programs.candidates import Candidate
from whet.programs.canvas import Pieces
from whet.programs.compiled import compiled
from whet.programs.expressions import Expression

LAYERS = 4
LAYER_COST = 1.0
BOTTOMS = 800
MOST_FOUND = 20


@compiled
def _cover(
    wrong: NDArray[np.uint64], filled: NDArray[np.uint64], bottom: int, costs: NDArray[np.float64], layers: int
) -> NDArray[np.int32]:
    """Pieces from the uppermost to `bottom` that together give the target; -1 first if none were found.

    Every round takes the piece that hides most of the cells at which the bottom is wrong, for its cost, among those
    that are nowhere wrong where they are seen.
    """
    pieces, words = wrong.shape
    chosen = np.full(layers, -1, np.int32)
    open_ = wrong[bottom].copy()
    hidden = np.zeros(words, np.uint64)
    for layer in range(layers - 1):
        best, best_gain = -1, 0.0
        for piece in range(pieces):
            gain = 0
            fits = True
            for word in range(words):
                if wrong[piece, word] & filled[piece, word] & ~hidden[word]:
                    fits = False
                    break
                bits = open_[word] & filled[piece, word]
                while bits:
                    bits &= bits - np.uint64(1)
                    gain += 1
            if fits and gain / (costs[piece] + 1.0) > best_gain:
                best, best_gain = piece, gain / (costs[piece] + 1.0)
        if best < 0:
            chosen[0] = -1
            return chosen
        chosen[layer] = best
        empty = True
        for word in range(words):
            hidden[word] |= filled[best, word]
            open_[word] &= ~filled[best, word]
            if open_[word]:
                empty = False
        if empty:
            chosen[layer + 1] = bottom
            return chosen
    chosen[0] = -1
    return chosen


def _packed(bits: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """`(P, N)` as bits of `(P, words)`."""
    packed = np.packbits(bits, axis=1)
    return np.ascontiguousarray(np.pad(packed, ((0, 0), (0, -packed.shape[1] % 8)))).view(np.uint64)


def stacks(pieces: Pieces) -> Iterator[Candidate]:
    """Programs that pile up to four pieces."""
    wrong = _packed(pieces.seen != pieces.target)
    filled = _packed(pieces.seen > 0)
    mistakes = (pieces.seen != pieces.target).sum(axis=1)
    useful = np.flatnonzero((mistakes > 0) & (mistakes < pieces.seen.shape[1]))
    bottoms = useful[np.lexsort((pieces.costs[useful], mistakes[useful] > 0))][:BOTTOMS]
    number = 0
    for bottom in bottoms:
        chosen = _cover(wrong, filled, int(bottom), pieces.costs, LAYERS)
        if chosen[0] < 0:
            continue
        layers = [int(piece) for piece in chosen if piece >= 0]
        cells = pieces.unseen[layers[0]].copy()
        for piece in layers[1:]:
            np.copyto(cells, pieces.unseen[piece], where=cells == 0)
        cost = float(pieces.costs[layers].sum()) + LAYER_COST * len(layers)
        expression = Expression("pile", tuple(pieces.expressions[piece] for piece in layers))
        yield Candidate(expression, cost, pieces.grids(cells), "stack")
        number += 1
        if number == MOST_FOUND:
            return
