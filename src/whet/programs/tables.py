"""Outputs whose cells are a function of the colours that one or two images have there."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from whet.programs.candidates import Candidate
from whet.programs.canvas import Pieces
from whet.programs.compiled import compiled
from whet.programs.expressions import Expression

UNKNOWN, NO_FUNCTION = 255, 254
ENTRY_COST = 1.2
KEPT_COST = 0.2
PAIRED = 1200
MOST_FOUND = 40


@compiled
def _functions(seen: NDArray[np.uint8], target: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """For every piece the table from its colours to the target's, `(P, 10)`; 254 first where there is none."""
    out = np.full((seen.shape[0], 10), 255, np.uint8)
    for piece in range(seen.shape[0]):
        for cell in range(seen.shape[1]):
            colour = seen[piece, cell]
            if out[piece, colour] == 255:
                out[piece, colour] = target[cell]
            elif out[piece, colour] != target[cell]:
                out[piece, 0] = 254
                break
    return out


@compiled
def _pairs(
    seen: NDArray[np.uint8], unseen: NDArray[np.uint8], target: NDArray[np.uint8], most: int
) -> tuple[NDArray[np.int32], int]:
    """Pairs of pieces that determine the target, and whose colours in the tests all occur in training."""
    found = np.empty((most, 2), np.int32)
    number = 0
    table = np.empty(100, np.uint8)
    for total in range(1, 2 * seen.shape[0]):
        for first in range(max(0, total - seen.shape[0] + 1), (total + 1) // 2):
            second = total - first
            table[:] = 255
            fits = True
            for cell in range(seen.shape[1]):
                place = seen[first, cell] * 10 + seen[second, cell]
                if table[place] == 255:
                    table[place] = target[cell]
                elif table[place] != target[cell]:
                    fits = False
                    break
            if not fits:
                continue
            for cell in range(unseen.shape[1]):
                if table[unseen[first, cell] * 10 + unseen[second, cell]] == 255:
                    fits = False
                    break
            if fits:
                found[number, 0], found[number, 1] = first, second
                number += 1
                if number == most:
                    return found, number
    return found, number


def single_tables(pieces: Pieces) -> Iterator[Candidate]:
    """Programs that change the colours of one piece."""
    tables = _functions(pieces.seen, pieces.target)
    for piece in np.flatnonzero(tables[:, 0] != NO_FUNCTION):
        table = tables[piece]
        learnt = {colour: int(value) for colour, value in enumerate(table) if value != UNKNOWN and value != colour}
        full = np.where(table == UNKNOWN, np.arange(10), table).astype(np.uint8)
        new = set(np.unique(pieces.unseen[piece]).tolist()) - set(np.flatnonzero(table != UNKNOWN).tolist())
        if new and learnt:
            continue
        expression = pieces.expressions[piece]
        if learnt:
            expression = Expression("lookup", (expression,), learnt)
        cost = float(pieces.costs[piece]) + (1.5 + ENTRY_COST * len(learnt) if learnt else 0)
        yield Candidate(expression, cost, pieces.grids(full[pieces.unseen[piece]]), "table" if learnt else "search")


def pair_tables(pieces: Pieces) -> Iterator[Candidate]:
    """Programs that look two pieces up in a table, neither of which would do alone."""
    alone = _functions(pieces.seen, pieces.target)[:, 0] != NO_FUNCTION
    order = np.argsort(pieces.costs + 1e9 * alone, kind="stable")[: min(PAIRED, int((~alone).sum()))]
    found, number = _pairs(pieces.seen[order], pieces.unseen[order], pieces.target, MOST_FOUND)
    for one, two in found[:number]:
        first, second = order[one], order[two]
        codes = pieces.seen[first].astype(np.int64) * 10 + pieces.seen[second]
        table = np.full(100, UNKNOWN, np.uint8)
        table[codes] = pieces.target
        used = [int(code) for code in np.flatnonzero(table != UNKNOWN)]
        constant = {(code // 10, code % 10): int(table[code]) for code in used}
        expression = Expression("lookup", (pieces.expressions[first], pieces.expressions[second]), constant)
        cells = table[pieces.unseen[first].astype(np.int64) * 10 + pieces.unseen[second]]
        cost = float(pieces.costs[first] + pieces.costs[second]) + 2
        cost += sum(KEPT_COST if value in entry else ENTRY_COST for entry, value in constant.items())
        yield Candidate(expression, cost, pieces.grids(cells), "pair table")
