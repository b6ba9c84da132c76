"""Batches to pretrain on: tasks that are made up, and tasks of a training set, in random views."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from whet.tasks.arc.generate import FAMILIES, Family, draw_task
from whet.tasks.arc.transduction.encoding import Cells, Question, encode, encode_answers, longest
from whet.tasks.arc.transduction.looks import random_look

if TYPE_CHECKING:
    from torch import Tensor

    from whet.models.grid_net import GridBatch

Pairs: TypeAlias = Sequence[tuple[Cells, Cells]]
Drawn: TypeAlias = tuple[Question, Sequence[Cells]]
"""A question, and the outputs that it asks for."""
_POOL = 16
"""Batches that are drawn together, so that questions of one length come into one batch."""
_QUERIES = 3
_SIZES = 0.1
"""Share of the queries that ask for the size of an output."""


@dataclass(frozen=True)
class Mixture:
    """What pretraining draws from.

    Attributes:
        tasks: by id, pairs of each task of a training set.
        families: families of rules to make up tasks with.
        made_up: share of the tasks that are made up.
        sides: largest sides of the grids of a task, each as likely as any other.
        tokens: about how many tokens a batch has.
    """

    tasks: Mapping[str, Pairs] = field(default_factory=dict)
    families: Mapping[str, Family] = field(default_factory=lambda: FAMILIES)
    made_up: float = 0.75
    sides: Sequence[int] = (4, 5, 5, 6, 7, 8, 10)
    tokens: int = 3000


class Sampler:
    """Draws the batch of any step, each from the seed and the number of the step alone."""

    def __init__(self, mixture: Mixture, seed: int) -> None:
        self.mixture = mixture
        self.seed = seed
        self._fitting = {side: _fitting(mixture.tasks.values(), side) for side in set(mixture.sides)}
        self._pool: tuple[int, list[list[Drawn]]] = (-1, [])

    def batch(self, step: int) -> tuple[GridBatch, Tensor, Tensor]:
        """The batch of a step, counted from 0, and its targets as `encode_answers` has them."""
        drawn = self.questions(step)
        questions, answers = [question for question, _ in drawn], [outputs for _, outputs in drawn]
        batch = encode(questions)
        return batch, *encode_answers(questions, answers, batch)

    def questions(self, step: int) -> list[Drawn]:
        """The questions of a step, counted from 0."""
        number, place = divmod(step, _POOL)
        if number != self._pool[0]:
            self._pool = number, self._drawn(np.random.default_rng((self.seed, number)))
        return self._pool[1][place]

    def _drawn(self, rng: np.random.Generator) -> list[list[Drawn]]:
        drawn: list[Drawn] = []
        context = int(rng.integers(2, 5))
        costs = 0
        while costs < _POOL * self.mixture.tokens or len(drawn) < _POOL:
            drawn.append(self._question(rng, context))
            costs += _cost(drawn[-1][0])
        drawn.sort(key=lambda one: (longest(one[0]), one[0].inputs[0].size))
        ends = list(accumulate(_cost(question) for question, _ in drawn))
        # the last question of each batch is the one that reaches its share of all
        cuts = [0, *(int(np.searchsorted(ends, ends[-1] * k / _POOL)) for k in range(1, _POOL)), len(drawn)]
        batches = [drawn[a:b] or drawn[a : a + 1] for a, b in pairwise(cuts)]
        return [batches[int(i)] for i in rng.permutation(_POOL)]

    def _question(self, rng: np.random.Generator, context: int) -> Drawn:
        mixture = self.mixture
        side = mixture.sides[int(rng.integers(len(mixture.sides)))]
        tasks = self._fitting[side]
        if not tasks or rng.random() < mixture.made_up:
            pairs: Pairs = draw_task(mixture.families, rng, side, context + _QUERIES)
        else:
            task = tasks[int(rng.integers(len(tasks)))]
            pairs = [task[int(i)] for i in rng.permutation(len(task))[: context + _QUERIES]]
        pairs = random_look(rng).pairs(pairs)
        queries = min(_QUERIES, len(pairs) - 2)
        shown, asked = pairs[:-queries], pairs[-queries:]
        sizes = [None if rng.random() < _SIZES else (b.shape[0], b.shape[1]) for _, b in asked]
        return Question(shown, [a for a, _ in asked], sizes), [b for _, b in asked]


def _cost(question: Question) -> int:
    return (len(question.context) + len(question.inputs)) * (1 + longest(question))


def _fitting(tasks: Collection[Pairs], side: int) -> list[Pairs]:
    """Of each task the pairs whose grids are not larger; only of those tasks that still have three."""
    found = [[(a, b) for a, b in pairs if max(*a.shape, *b.shape) <= side] for pairs in tasks]
    return [pairs for pairs in found if len(pairs) >= 3]
