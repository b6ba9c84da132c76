"""Programs that a language model behind a server writes, run in the sandbox."""

from __future__ import annotations

from collections.abc import Iterator

from whet.errors import InputError
from whet.programs.limits import Meter
from whet.tasks.arc.confidence import WRITTEN
from whet.tasks.arc.grids import as_grid
from whet.tasks.arc.task import ArcTask
from whet.tasks.arc.ways.candidate import Candidate, Findings
from whet.tasks.arc.ways.settings import Settings


def synthesis(task: ArcTask, settings: Settings, meter: Meter) -> Iterator[Findings]:
    """The distinct answers of programs that reproduce all demonstrations.

    Raises:
        InputError: no server is named.
        WhetError: as in `synthesise`.
    """
    from whet.programs.sandbox import Limits, Sandbox
    from whet.programs.synthesis import ServerWriter, synthesise

    if settings.server is None:
        raise InputError("synthesis needs a server that writes programs; name its address and the model.")
    pairs = [(pair.input, pair.output) for pair in task.train]
    limits = Limits(cpu_seconds=1, memory_bytes=2**28, result_bytes=2**16)
    with Sandbox(limits) as sandbox, ServerWriter(*settings.server) as writer:
        found = synthesise(pairs, task.test, writer, sandbox=sandbox, seconds=max(0.0, meter.left()))
    candidates = [
        Candidate(
            tuple(as_grid(grid) for grid in one.predictions),
            (WRITTEN,) * len(task.test),
            one.found,
            one.program,
            one.cost,
        )
        for one in found
    ]
    yield Findings(candidates, "" if found else "no program that was written reproduces all demonstrations")
