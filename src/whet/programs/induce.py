"""From a few pairs of grids to programs that reproduce them all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np

from whet.programs.candidates import Candidate
from whet.programs.canvas import canvases, pieces_of
from whet.programs.cells.fit import bases, cell_rules, sweep_rules
from whet.programs.images import Grid
from whet.programs.limits import Limits, Meter
from whet.programs.plausible import surprise
from whet.programs.search import State, enumerate_states
from whet.programs.solution import Solution
from whet.programs.stack import stacks
from whet.programs.tables import pair_tables, single_tables

SEARCH_SHARE = 0.5
FIRST_ROUND = 6
CONVINCING = 12.0
CANVASES = 3
BASES = 3
EXTRA = 80
SIMPLE = 5.0


def induce(train: Sequence[tuple[Grid, Grid]], tests: Sequence[Grid], limits: Limits | None = None) -> list[Solution]:
    """Programs that reproduce every training pair, best first, no two with the same outputs for all tests.

    The search stops after a sixth of the programs if one that fits is so cheap that it is hardly ever wrong.

    Args:
        train: pairs of input and output, each a 2-D array of colours from 0 to 9.
        tests: inputs of the tests.
        limits: see `Limits`.
    """
    limits = limits or Limits()
    inputs = [pair[0] for pair in train] + list(tests)
    outputs = [pair[1] for pair in train]
    meter = Meter(limits.seconds)
    stream = enumerate_states(inputs, shared_colours(inputs, outputs), meter.part(SEARCH_SHARE))
    states: list[State] = []
    candidates: dict[str, Candidate] = {}
    for programs in (limits.programs // FIRST_ROUND, limits.programs):
        fresh = list(islice(stream, programs - len(states)))
        if not fresh:
            break
        states += fresh
        for candidate in _candidates(states, outputs, meter):
            cost = candidate.cost + surprise(train, tests, candidate.predictions)
            candidates[str(candidate.expression)] = replace(candidate, cost=cost)
        if min((candidate.cost for candidate in candidates.values()), default=np.inf) <= CONVINCING:
            break
    return [
        Solution(str(candidate.expression), candidate.cost, candidate.predictions, candidate.found)
        for candidate in ranked(list(candidates.values()))
    ]


def ranked(candidates: Sequence[Candidate]) -> list[Candidate]:
    """One candidate for each distinct prediction, by the likelihood of all that agree on it.

    A program of cost c counts as exp(-c), so that many programs which agree can outweigh one that is a little cheaper.
    """
    groups: dict[tuple[tuple[tuple[int, ...], bytes], ...], list[Candidate]] = {}
    for candidate in candidates:
        groups.setdefault(tuple((grid.shape, grid.tobytes()) for grid in candidate.predictions), []).append(candidate)

    def weight(group: list[Candidate]) -> float:
        return float(np.logaddexp.reduce([-candidate.cost for candidate in group]))

    ordered = sorted(groups.values(), key=weight, reverse=True)
    return [min(group, key=lambda candidate: candidate.cost) for group in ordered]


def _candidates(states: Sequence[State], outputs: Sequence[Grid], meter: Meter) -> Iterator[Candidate]:
    """What each mechanism finds.

    Where a simple program fits, rules for cells are asked only for a second opinion: they take the most time.
    """
    for canvas in canvases(states, outputs, CANVASES):
        if not meter.go_on():
            return
        pieces = pieces_of(states, canvas, outputs)
        simple = [*single_tables(pieces), *pair_tables(pieces), *stacks(pieces)]
        yield from simple
        enough = min((candidate.cost for candidate in simple), default=np.inf) <= SIMPLE
        if enough and len(ranked(simple)) > 1:
            return
        for place, base in enumerate(bases(canvas, pieces, BASES)):
            yield from cell_rules(base, outputs, pieces, 0, meter, "cells")
            if enough:
                return
            yield from cell_rules(base, outputs, pieces, EXTRA, meter, "cells with pieces")
            if place == 0:
                yield from sweep_rules(base, outputs, meter)


def shared_colours(inputs: Sequence[Grid], outputs: Sequence[Grid]) -> list[int]:
    """Colours that occur in every input or in every output."""
    sets = [[set(np.unique(grid).tolist()) for grid in grids] for grids in (inputs, outputs)]
    return sorted((set.intersection(*sets[0]) | set.intersection(*sets[1])) - {0})
