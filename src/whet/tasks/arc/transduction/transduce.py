"""Answering a task with the net: practice, views, vote."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from whet.errors import InputError
from whet.tasks.arc.results import TaskResult
from whet.tasks.arc.submission import attempts
from whet.tasks.arc.task import ArcTask
from whet.tasks.arc.transduction.looks import looks
from whet.tasks.arc.transduction.practice import Practice, practised
from whet.tasks.arc.transduction.reading import read
from whet.tasks.arc.transduction.voting import VOTES

if TYPE_CHECKING:
    from whet.models.grid_net import GridNet


def transduce(
    net: GridNet, task: ArcTask, practice: Practice | None = None, *, views: int = 16, vote: str = "product"
) -> TaskResult:
    """Two attempts at each test input of a task.

    Args:
        net: the net; it is left as it is.
        task: the task.
        practice: how a copy of the net is trained on the task before it answers; not at all, if None.
        views: in how many views it answers.
        vote: how two attempts are made of its answers: `flat`, `hierarchical` or `product`.

    Raises:
        InputError: there is no view, or no such vote.
    """
    if vote not in VOTES:
        raise InputError(f"vote={vote!r} is none of {', '.join(VOTES)}; name one of them.")
    begin = time.monotonic()
    own = net if practice is None else practised(net, task, practice)[0]
    readings = read(own, task, looks(views, seed=0), context=practice is None or practice.context)
    return TaskResult(
        task.id,
        tuple(attempts(*VOTES[vote](reading)) for reading in readings),
        {"seconds": round(time.monotonic() - begin, 3)},
    )
