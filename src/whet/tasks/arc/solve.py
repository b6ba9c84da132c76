"""Answering a task: ways of solving are tried while they promise enough, and what they find is put together."""

from __future__ import annotations

import time
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from whet.programs.limits import Meter
from whet.tasks.arc.confidence import gain, odds_of_either
from whet.tasks.arc.grids import Grid, content
from whet.tasks.arc.results import TaskResult
from whet.tasks.arc.submission import attempts
from whet.tasks.arc.task import ArcTask
from whet.tasks.arc.ways import AGAINST, WAYS, Candidate, Settings

PATIENCE = 0.01
"""Least chance to solve a task that the whole time must promise, at the rate that is expected of what comes next."""
_FIRST = 1.0
"""Seconds that the first stage of a way is taken to last."""
_LONGER = 2.0
"""Times of a stage that the next one takes."""
_SHARE = 0.6
"""Of the time that is left, for a way that is not the last."""
_KEPT = 4
"""Candidates of each way that are written down."""
_DEFAULT = Settings()


def solve(task: ArcTask, seconds: float, settings: Settings = _DEFAULT) -> TaskResult:
    """Attempts at a task, with the candidates that they come from.

    Args:
        task: demonstrations and test inputs.
        seconds: wall-clock time at most, but for what is under way when it ends; with 0 nothing is tried.
        settings: the ways and what they work with. One that would not help is left out, if there are others.

    Raises:
        WhetError: a way cannot be tried at all: there is no net, or no server that answers.
    """
    meter = Meter(seconds)
    found: dict[str, Sequence[Candidate]] = {}
    notes = _against(task, settings)
    spent: dict[str, float] = {}
    ways = [name for name in settings.ways if name not in notes] or settings.ways
    for place, name in enumerate(ways):
        begin = last = time.monotonic()
        own = meter.part(_SHARE) if place + 1 < len(ways) else meter
        if not own.go_on() or not _worth_while(name, 0, task, found, _FIRST / seconds):
            break
        for stage, better in enumerate(WAYS[name](task, settings, own), start=1):
            found[name], notes[name] = better.candidates, better.note
            last, took = time.monotonic(), time.monotonic() - last
            if not _worth_while(name, stage, task, found, _LONGER * took / seconds):
                break
        spent[name] = round(last - begin, 3)
    best = [likeliest(found, i) for i in range(len(task.test))]
    return TaskResult(
        task.id,
        tuple(attempts(*(grid for grid, _ in one)) for one in best),
        {
            "asked": settings.words(seconds),
            "seconds": round(seconds - meter.left(), 3),
            "spent": spent,
            "confidence": [[round(p, 4) for _, p in one[:2]] for one in best],
            "notes": {name: note for name, note in notes.items() if note},
            "candidates": _written(found),
            **({} if spent else {"problem": f"{seconds:g} seconds are too short to try anything"}),
        },
    )


def _against(task: ArcTask, settings: Settings) -> dict[str, str]:
    """By way, why it would not help with a task; ways that may help are left out."""
    told = {name: AGAINST[name](task, settings) for name in settings.ways if name in AGAINST}
    return {name: why for name, why in told.items() if why}


def likeliest(found: Mapping[str, Sequence[Candidate]], test: int) -> list[tuple[Grid, float]]:
    """The distinct outputs for a test input with their probabilities, the likeliest first.

    Ways that agree are taken to be independent; candidates of one way are not. Only one output is right, or none: so
    the odds of each are taken against all others and against none. Of equally likely outputs the one that was found
    first comes first.

    Args:
        found: by the name of a way, its candidates.
        test: which test input.
    """
    told: dict[Hashable, tuple[Grid, dict[str, float]]] = {}
    for way, candidates in found.items():
        for one in candidates:
            grid = one.outputs[test]
            _, by_way = told.setdefault(content(grid), (grid, {}))
            by_way[way] = max(by_way.get(way, 0.0), one.confidence[test])
    odds = [odds_of_either(by_way.values()) for _, by_way in told.values()]
    merged = [(grid, one / (1.0 + sum(odds))) for (grid, _), one in zip(told.values(), odds, strict=True)]
    return sorted(merged, key=lambda pair: -pair[1])


def _worth_while(name: str, stage: int, task: ArcTask, found: Mapping[str, Sequence[Candidate]], part: float) -> bool:
    """Whether a stage of a way, which takes this part of the time, is expected to help enough."""
    right = min(sum(p for _, p in likeliest(found, i)[:2]) for i in range(len(task.test)))
    return (1.0 - right) * gain(name, stage) >= PATIENCE * part


def _written(found: Mapping[str, Sequence[Candidate]]) -> list[dict[str, Any]]:
    """The best of each way, the likeliest first."""
    kept = [one for candidates in found.values() for one in candidates[:_KEPT]]
    return [one.as_json() for one in sorted(kept, key=lambda one: -min(one.confidence))]
