"""The search in one view of a task, in rounds: programs are enumerated, then what fits is made of all so far."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from whet.programs.candidates import Candidate
from whet.programs.canvas import canvases, pieces_of
from whet.programs.cells.fit import bases, cell_rules, sweep_rules
from whet.programs.images import Grid, Pairs
from whet.programs.limits import Meter
from whet.programs.prior import shifts
from whet.programs.search import State, enumerate_states, size_of
from whet.programs.stack import stacks
from whet.programs.tables import pair_tables, single_tables
from whet.programs.views import View

SEARCH_SHARE = 0.5
"""The share of the time that enumeration may take; the rest is for what fits."""

CANVASES = 3
"""Extents of the output that are tried."""

BASES = 3
"""Images whose cells rules change, for each canvas."""

EXTRA = 80
"""Pieces whose colours rules for cells may ask for."""

SIMPLE = 5.0
"""A program of at most this cost makes rules for cells a second opinion."""


class Search:
    """The programs of one view, which grow from round to round.

    Args:
        view: how the task is looked at.
        train: its training pairs as they are.
        tests: inputs of the tests as they are.
        meter: what is left of the time.
        memory: bytes of values at most.
    """

    def __init__(self, view: View, train: Pairs, tests: Sequence[Grid], meter: Meter, memory: int) -> None:
        self._view, self._tests = view, tests
        pairs = [(view.there(before, before), view.there(after, before)) for before, after in train]
        inputs = [before for before, _ in pairs] + [view.there(test, test) for test in tests]
        self._outputs = [after for _, after in pairs]
        self._meter, self._share = meter, meter.part(SEARCH_SHARE)
        self._spent = 0.0
        self._states: list[State] = []
        colours = shared_colours(inputs, self._outputs)
        self._stream = enumerate_states(inputs, colours, self._share, memory, shifts(pairs))

    def round(self, programs: int) -> list[Candidate]:
        """What fits, with so many programs in all, for the task as it is; nothing, if there are no new programs."""
        left = self._share.left()
        fresh = list(islice(self._stream, max(programs - len(self._states), 0)))
        self._spent += left - self._share.left()
        self._states += fresh
        if not fresh:
            return []
        return [self._brought_back(candidate) for candidate in _candidates(self._states, self._outputs, self._meter)]

    def affords(self, programs: int) -> bool:
        """Whether so many programs in all can be enumerated in time, at the pace of the rounds so far."""
        return self._spent * programs <= (self._spent + self._share.left()) * len(self._states)

    def size(self) -> int:
        """Bytes that the values take, about."""
        return sum(size_of(state.values) for state in self._states)

    def _brought_back(self, candidate: Candidate) -> Candidate:
        return Candidate(
            self._view.program(candidate.expression),
            candidate.cost + self._view.cost,
            [self._view.back(grid, test) for grid, test in zip(candidate.predictions, self._tests, strict=True)],
            candidate.found,
        )


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
        if enough and len({candidate.answer for candidate in simple}) > 1:
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
