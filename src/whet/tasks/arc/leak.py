"""The sets of ARC overlap: most evaluation tasks of ARC-AGI-1 are training tasks of ARC-AGI-2."""

from __future__ import annotations

from collections.abc import Set

from whet.errors import InputError


def overlap(trained: Set[str], evaluated: Set[str]) -> tuple[str, ...]:
    """The ids that are in both, sorted. A task that was copied under another id is not found."""
    return tuple(sorted(trained & evaluated))


def refuse_leak(trained: Set[str], evaluated: Set[str]) -> None:
    """Do nothing, unless a task that is reported on was trained on.

    Args:
        trained: ids of all tasks that weights, settings or programs were made with (`ArcSet.ids`).
        evaluated: ids of the tasks that are reported on.

    Raises:
        InputError: a task is in both.
    """
    both = overlap(trained, evaluated)
    if both:
        raise InputError(
            f"{len(both)} of the {len(evaluated)} tasks to report on were trained on (the first is {both[0]!r}), so "
            "the score would say nothing; train on other tasks, or leave these out of the report."
        )
