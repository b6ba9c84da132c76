"""From a few pairs of grids to programs that reproduce them all."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from whet.programs.candidates import Candidate
from whet.programs.images import Grid, Pairs
from whet.programs.limits import Limits, Meter
from whet.programs.plausible import surprise
from whet.programs.rounds import Search
from whet.programs.solution import Solution
from whet.programs.views import PLAIN, renamed

ROUNDS = (3_000, 18_000)
"""Programs enumerated before each look for what fits, in each view."""

FURTHER = (72_000, 288_000)
"""Further rounds of the plain view, each only if the time is enough for it."""

CONVINCING = 12.0
"""A candidate of at most this cost ends the search."""


def induce(train: Pairs, tests: Sequence[Grid], limits: Limits | None = None) -> list[Solution]:
    """Programs that reproduce every training pair, best first, no two with the same outputs for all tests.

    The search goes on in rounds until one that fits is so cheap that it is hardly ever wrong: first in the task as it
    is, then with colours named by their roles, then again as it is with more programs.

    Args:
        train: pairs of input and output, each a 2-D array of colours from 0 to 9.
        tests: inputs of the tests.
        limits: see `Limits`.
    """
    found: dict[str, Candidate] = {}
    for candidates in _rounds(train, tests, limits or Limits()):
        for candidate in candidates:
            cost = candidate.cost + surprise(train, tests, candidate.predictions)
            found[str(candidate.expression)] = replace(candidate, cost=cost)
        if min((candidate.cost for candidate in found.values()), default=np.inf) <= CONVINCING:
            break
    return [
        Solution(str(candidate.expression), candidate.cost, candidate.predictions, candidate.found)
        for candidate in ranked(list(found.values()))
    ]


def _rounds(train: Pairs, tests: Sequence[Grid], limits: Limits) -> Iterator[list[Candidate]]:
    """What each round of the search finds."""
    meter = Meter(limits.seconds)
    plain = Search(PLAIN, train, tests, meter, limits.memory)
    for programs in ROUNDS:
        yield plain.round(min(programs, limits.programs))
    by_role = renamed(train, tests)
    if by_role is not None:
        search = Search(by_role, train, tests, meter, limits.memory - plain.size())
        for programs in ROUNDS:
            yield search.round(min(programs, limits.programs))
        del search
    for programs in FURTHER:
        if not plain.affords(min(programs, limits.programs)):
            return
        yield plain.round(min(programs, limits.programs))


def ranked(candidates: Sequence[Candidate]) -> list[Candidate]:
    """One candidate for each distinct prediction, by the likelihood of all that agree on it.

    A program of cost c counts as exp(-c), so that many programs which agree can outweigh one that is a little cheaper.
    """
    groups: dict[Hashable, list[Candidate]] = {}
    for candidate in candidates:
        groups.setdefault(candidate.answer, []).append(candidate)

    def weight(group: list[Candidate]) -> float:
        return float(np.logaddexp.reduce([-candidate.cost for candidate in group]))

    ordered = sorted(groups.values(), key=weight, reverse=True)
    return [min(group, key=lambda candidate: candidate.cost) for group in ordered]
