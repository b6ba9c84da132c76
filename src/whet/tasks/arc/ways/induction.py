"""Programs of the language for grids that reproduce all demonstrations."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

from whet.programs.limits import Limits, Meter
from whet.tasks.arc.confidence import of_program
from whet.tasks.arc.grids import as_grid
from whet.tasks.arc.task import ArcTask
from whet.tasks.arc.ways.candidate import Candidate, Findings
from whet.tasks.arc.ways.settings import Settings


def induction(task: ArcTask, _: Settings, meter: Meter) -> Iterator[Findings]:
    """The distinct answers of programs, the likeliest first."""
    from whet.programs.induce import induce

    pairs = [(pair.input, pair.output) for pair in task.train]
    found = induce(pairs, task.test, Limits(seconds=max(0.0, meter.left())))
    # the order counts programs that agree, which a program's own cost does not
    sure = accumulate((of_program(one.cost, rank) for rank, one in enumerate(found)), min)
    candidates = [
        Candidate(tuple(map(as_grid, one.predictions)), (p,) * len(task.test), one.found, one.program, one.cost)
        for one, p in zip(found, sure, strict=True)
    ]
    yield Findings(candidates, "" if found else "no program was found that reproduces all demonstrations")
