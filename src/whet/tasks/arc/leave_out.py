"""Leaving demonstrations of a task out makes new tasks of the same rule whose answers are known."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

from whet.errors import InputError
from whet.tasks.arc.task import ArcTask, Episode


@dataclass(frozen=True)
class LeftOut:
    """What leaving out makes.

    Attributes:
        episodes: no two are equal.
        reason: why there are none; empty if there are some.
    """

    episodes: tuple[Episode, ...]
    reason: str = ""


def leave_out(task: ArcTask, n: int = 1) -> LeftOut:
    """Every choice of n demonstrations to leave out, and of one among them to predict from the rest.

    A task of k different demonstrations makes k·C(k-1, n-1) episodes of k-n demonstrations each.

    Raises:
        InputError: n is not positive.

    Source: Akyürek et al. 2024, arXiv 2411.07279, §3.
    """
    if n < 1:
        raise InputError(f"n is {n}; leave at least one demonstration out.")
    count = len(task.train)
    if count <= n:
        have = "has one training pair" if count == 1 else f"has {count} training pairs"
        return LeftOut((), f"the task {task.id!r} {have}, so leaving out {n} leaves none to predict from")
    found: dict[Episode, None] = {}
    for target in range(count):
        others = [i for i in range(count) if i != target]
        for kept in combinations(others, count - n):
            found[Episode(tuple(task.train[i] for i in kept), task.train[target])] = None
    return LeftOut(tuple(found))
