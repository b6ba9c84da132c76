"""Answering a task: programs that explain all of its demonstrations, the two likeliest answers at each test input."""

from __future__ import annotations

import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from whet.tasks.arc.grids import Grid, as_grid, content
from whet.tasks.arc.results import TaskResult
from whet.tasks.arc.submission import attempts
from whet.tasks.arc.task import ArcTask

_KEPT = 8
"""Candidates of a task that are written down."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """An answer to all test inputs of a task.

    Attributes:
        outputs: one a test input.
        found: the mechanism that found it.
        program: its text, if a program was found.
        cost: how unlikely it is; smaller is better.
    """

    outputs: tuple[Grid, ...]
    found: str
    program: str
    cost: float


def solve(task: ArcTask, seconds: float) -> TaskResult:
    """Attempts at a task, with the candidates that they come from.

    Args:
        task: demonstrations and test inputs.
        seconds: wall-clock time at most, but for what is under way when it ends; with 0 nothing is tried.
    """
    begin = time.monotonic()
    candidates = _induced(task, seconds) if seconds > 0 else []
    return TaskResult(
        task.id,
        tuple(attempts(*distinct([one.outputs[i] for one in candidates])) for i in range(len(task.test))),
        {
            "seconds": round(time.monotonic() - begin, 3),
            "candidates": [
                {
                    "found": one.found,
                    "program": one.program,
                    "cost": round(one.cost, 3),
                    "outputs": [grid.tolist() for grid in one.outputs],
                }
                for one in candidates[:_KEPT]
            ],
        },
    )


def distinct(grids: Sequence[Grid]) -> list[Grid]:
    """Each different grid once, in order."""
    found: dict[Hashable, Grid] = {}
    for grid in grids:
        found.setdefault(content(grid), grid)
    return list(found.values())


def _induced(task: ArcTask, seconds: float) -> list[Candidate]:
    from whet.programs.induce import induce
    from whet.programs.limits import Limits

    found = induce([(pair.input, pair.output) for pair in task.train], task.test, Limits(seconds=seconds))
    return [
        Candidate(tuple(as_grid(grid) for grid in one.predictions), one.found, one.program, one.cost) for one in found
    ]
