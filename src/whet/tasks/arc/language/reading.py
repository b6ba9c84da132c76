"""What a language model makes of a task: candidates found in many views, and how likely each is in every view."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

from whet.decoding.depth_first import Continuation, DepthFirst
from whet.errors import InputError
from whet.programs.limits import Meter
from whet.tasks.arc.grids import Grid, content
from whet.tasks.arc.language.looking import answering_views
from whet.tasks.arc.language.serialise import Serialisation
from whet.tasks.arc.task import ArcTask, Pair
from whet.tasks.arc.views import View

if TYPE_CHECKING:
    from whet.models import LanguageModel

_SEARCHING = 0.6
"""Of the time for a test input; the rest is for scoring."""


@dataclass(frozen=True)
class Answering:
    """How candidates are searched for.

    Attributes:
        views: in how many views.
        above: the least probability of a candidate in the view in which it is found.
        max_nodes: how far the search in a view goes, see `DepthFirst.search`.
        seed: of the views.
    """

    views: int = 16
    above: float = 0.1
    max_nodes: int = 2_000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.views < 1:
            raise InputError(f"views={self.views}: give at least one view to answer in.")


@dataclass(frozen=True)
class Reading:
    """Of one test input.

    Attributes:
        symmetries: the key of the symmetry of each view.
        best: the likeliest grid that was found in each view, None where none was.
        candidates: all different grids that were found, in the order in which they were.
        scores: log probability of each candidate in each view, or in the first views where time was over; minus
            infinity where the context is too short for it.
        complete: whether no limit, of time or nodes, cut the search in any view or the scoring.
    """

    symmetries: tuple[str, ...]
    best: tuple[Grid | None, ...]
    candidates: tuple[Grid, ...]
    scores: tuple[tuple[float, ...], ...]
    complete: bool

    def votes(self, answer: Grid) -> int:
        """In how many views it is the likeliest grid."""
        return sum(grid is not None and content(grid) == content(answer) for grid in self.best)


def read(
    model: LanguageModel, serialisation: Serialisation, task: ArcTask, how: Answering, meter: Meter | None = None
) -> list[Reading]:
    """Search for answers in each view, and score every candidate in every view, for each test input.

    Where a prompt is longer than the context, its first demonstrations are left away.

    Args:
        model: the language model, with an adapter or without.
        serialisation: how it reads tasks.
        task: the task.
        how: in how many views candidates are searched for, and how far.
        meter: the time that no pass begins after, if it is limited; each test input gets an equal part.

    Raises:
        InputError: a test input is longer than the context.
    """
    views = answering_views(how.views, len(task.train), seed=how.seed)
    prompts = [prompts_of(model, serialisation, view.task(task)) for _, view in views]
    meter = meter or Meter(math.inf)
    readings = []
    for number in range(len(task.test)):
        own = meter.part(1 / (len(task.test) - number))
        seen = [every[number] for every in prompts]
        readings.append(_reading(DepthFirst(model), serialisation, views, seen, how, own))
    return readings


def prompts_of(model: LanguageModel, serialisation: Serialisation, task: ArcTask) -> list[list[int]]:
    """Of each test input, with room for an answer as long as the longest output or test input of the task.

    Raises:
        InputError: a test input is longer than the context.
    """
    grids = [*(pair.output for pair in task.train), *task.test]
    room = model.context + 1 - max(len(serialisation.answer(grid)) for grid in grids)  # the last token is not read
    prompts = [_prompt(serialisation, task.train, grid, room) for grid in task.test]
    longest = max(map(len, prompts))
    if longest > model.context:
        raise InputError(
            f"a test input of the task {task.id!r} takes {longest} tokens, more than the context of {model.context} "
            f"that {model.name!r} has; take a model with a longer one."
        )
    return prompts


def _prompt(serialisation: Serialisation, demonstrations: Sequence[Pair], grid: Grid, room: int) -> list[int]:
    for first in range(len(demonstrations)):
        ids = serialisation.prompt(demonstrations[first:], grid)
        if len(ids) <= room:
            return ids
    return serialisation.prompt((), grid)


def _reading(
    searcher: DepthFirst,
    serialisation: Serialisation,
    views: Sequence[tuple[str, View]],
    prompts: Sequence[list[int]],
    how: Answering,
    meter: Meter,
) -> Reading:
    """Of the test input with these prompts, one a view."""
    best: list[Grid | None] = []
    candidates: dict[Hashable, Grid] = {}
    found: list[dict[Hashable, float]] = []
    guess: Grid | None = None
    complete = True
    searching = meter.part(_SEARCHING)
    context = searcher.model.context
    for (_, view), prompt in zip(views, prompts, strict=True):
        told = searcher.search(
            prompt,
            stop=serialisation.stop,
            above=how.above,
            max_tokens=context,
            max_nodes=how.max_nodes,
            guess=() if guess is None else serialisation.answer(view.grid(guess)),
            go_on=searching.go_on,
        )
        grids = [(view.inverse.grid(grid), value) for grid, value in _parsed(serialisation, told.continuations)]
        best.append(grids[0][0] if grids else None)
        guess = best[-1] if grids else guess
        candidates |= {content(grid): grid for grid, _ in grids if content(grid) not in candidates}
        found.append({content(grid): value for grid, value in grids})
        complete = complete and told.complete

    def score(grid: Grid, number: int) -> float:
        if content(grid) in found[number]:
            return found[number][content(grid)]
        ids = serialisation.answer(views[number][1].grid(grid))
        if len(prompts[number]) + len(ids) - 1 > context:
            return -math.inf
        return searcher.log_probability(prompts[number], ids)

    columns: list[list[float]] = []
    for number in range(len(views)):  # view by view, so that a prompt is read once for all candidates
        column = [score(grid, number) for grid in takewhile(lambda _: meter.go_on(), candidates.values())]
        if len(column) < len(candidates):
            complete = False
            break
        columns.append(column)
    return Reading(
        symmetries=tuple(symmetry for symmetry, _ in views),
        best=tuple(best),
        candidates=tuple(candidates.values()),
        scores=tuple(tuple(column[place] for column in columns) for place in range(len(candidates))),
        complete=complete,
    )


def _parsed(serialisation: Serialisation, continuations: Sequence[Continuation]) -> Iterator[tuple[Grid, float]]:
    """The grids among them, each with its log probability."""
    for one in continuations:
        try:
            yield serialisation.parse(one.ids), one.log_probability
        except InputError:  # what a model writes need not be a grid
            continue
