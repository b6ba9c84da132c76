"""The net's answers, after more and more practice on the task."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from whet.programs.limits import Meter
from whet.tasks.arc.confidence import of_reading
from whet.tasks.arc.leave_out import leave_out
from whet.tasks.arc.net_file import trained_up_to
from whet.tasks.arc.task import ArcTask
from whet.tasks.arc.ways.candidate import Candidate, Findings
from whet.tasks.arc.ways.settings import Settings

if TYPE_CHECKING:
    from whet.models.grid_net import GridNet
    from whet.tasks.arc.transduction.reading import Reading


_REACH = 1.5
"""Times the largest side in training; beyond, none of 20 training tasks was right, below, 2 of 10 (`arc_reach.py`)."""


def transduction(task: ArcTask, settings: Settings, meter: Meter) -> Iterator[Findings]:
    """Two answers, again after each stage of practice that time is left for.

    Raises:
        ModelError: the file holds no net.
    """
    from whet.tasks.arc.transduction.practice import Practice
    from whet.tasks.arc.transduction.stages import stages

    practice = settings.practice or Practice()
    note = leave_out(task).reason
    for stage in stages(_net(settings.net), task, practice, settings.views, meter):
        yield Findings(_candidates(stage.readings, f"net, {stage.steps} steps of practice"), note)


def beyond_training(task: ArcTask, settings: Settings) -> str:
    """Why the net would not help with a task: a sentence without a full stop, empty if it may.

    Raises:
        ModelError: the file holds no net.
    """
    side = trained_up_to(settings.net)
    if task.largest_side <= _REACH * side:
        return ""
    return f"a net that was trained on grids up to {side}×{side} does not help with so much larger ones"


def _candidates(readings: list[Reading], found: str) -> list[Candidate]:
    from whet.tasks.arc.transduction.voting import product

    tried = [product(reading)[:2] for reading in readings]
    return [
        Candidate(
            outputs=tuple(both[rank] for both in tried),
            confidence=tuple(of_reading(r, both[rank]) for r, both in zip(readings, tried, strict=True)),
            found=found,
            votes=tuple(r.votes(both[rank]) for r, both in zip(readings, tried, strict=True)),
            views=len(readings[0].symmetries),
        )
        for rank in range(2)
    ]


@lru_cache(maxsize=1)
def _net(path: Path) -> GridNet:
    """The net of the last file, which all tasks of a process share."""
    import torch

    from whet.models.allocator import keep_freed_memory
    from whet.models.grid_net import load_grid_net

    keep_freed_memory()
    torch.set_num_threads(1)  # processes are how several cores are used
    return load_grid_net(path)
