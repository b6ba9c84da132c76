"""Test-time training of a language model: an adapter a task, all trained in the same passes.

A task's demonstrations are made into new tasks by leaving one or two out; what is learnt are the outputs, in random
views and orders (Akyürek et al. 2024, arXiv 2411.07279, §3).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import accumulate, islice
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch

from whet.adaptation.objectives.next_token import token_losses
from whet.adaptation.routing import Routing
from whet.errors import InputError
from whet.programs.limits import Meter
from whet.tasks.arc.language.lessons import TokenLesson, token_lesson
from whet.tasks.arc.language.looking import random_view
from whet.tasks.arc.language.serialise import Serialisation
from whet.tasks.arc.task import ArcTask, Episode, Pair
from whet.tasks.arc.transduction.practice import Practice, episodes_of

if TYPE_CHECKING:
    from torch import Tensor

    from whet.adaptation.bank import AdapterBank
    from whet.models import LanguageModel

Lessons: TypeAlias = dict[int, list[TokenLesson]]
"""By slot."""

_TOKENS_A_PASS = 16_384  # bounds the memory of a pass with many slots

PRACTICE = Practice(lr=3e-3, left_out=2)
"""What is taken where nothing else is said."""


def practise(
    model: LanguageModel,
    serialisation: Serialisation,
    bank: AdapterBank,
    tasks: Sequence[ArcTask],
    practice: Practice = PRACTICE,
    meter: Meter | None = None,
) -> int:
    """Train the first slots of a bank, one for each task. A task's adapter does not depend on the others.

    A slot whose task has one demonstration stays as it was made, and changes nothing. Demonstrations of an episode that
    is longer than the context are left away, the first ones first.

    Args:
        model: the language model.
        serialisation: how it reads tasks.
        bank: slots on that model.
        tasks: at most as many as there are slots.
        practice: steps, episodes in each, rate, and how they are drawn.
        meter: the time that no step begins after, if it is limited. The rate then falls to zero with the steps or with
            the time, whichever comes first.

    Returns:
        How many steps were made.

    Raises:
        InputError: there are more tasks than slots, or a single pair is longer than the context.
    """
    if len(tasks) > bank.slots:
        raise InputError(f"{len(tasks)} tasks cannot practise in a bank of {bank.slots} slots; make one of as many.")
    for slot in range(len(tasks)):
        bank.reset(slot, seed=practice.seed)
    work = {slot: found for slot, task in enumerate(tasks) if (found := episodes_of(task, practice))}
    rngs = {slot: np.random.default_rng(practice.seed) for slot in work}
    optimisers: list[torch.optim.Optimizer] = []

    def make(rows: list[Tensor]) -> torch.optim.Optimizer:
        optimisers.append(torch.optim.Adam(rows, lr=practice.lr, betas=(0.9, 0.95)))
        return optimisers[-1]

    meter = meter or Meter(math.inf)
    step = 0
    with bank.attached():
        while work and step < practice.steps and meter.go_on():
            gone = (meter.clock() - meter.start) / meter.seconds
            for optimiser in optimisers:
                optimiser.param_groups[0]["lr"] = min(practice.rate(step), practice.lr * (1 - gone))
            lessons = {
                slot: [
                    fitting(model, serialisation, (*episode.demonstrations, episode.target))
                    for episode in drawn(rngs[slot], episodes, practice)
                ]
                for slot, episodes in work.items()
            }
            for together in _passes(lessons, alone=bank.bound.alone):
                _gradients(model, bank, together)
                bank.step(make, clip=1.0)
            step += 1
    return step


def drawn(rng: np.random.Generator, episodes: Sequence[Episode], practice: Practice) -> list[Episode]:
    """Episodes for one update: whole rounds, each in another order, cut to as many as it takes; each in a view."""
    rounds = -(-practice.episodes // len(episodes))
    chosen = [int(i) for _ in range(rounds) for i in rng.permutation(len(episodes))][: practice.episodes]
    if not practice.views:
        return [episodes[i] for i in chosen]
    return [random_view(rng, len(episodes[i].demonstrations)).episode(episodes[i]) for i in chosen]


def fitting(model: LanguageModel, serialisation: Serialisation, pairs: Sequence[Pair]) -> TokenLesson:
    """The lesson of these pairs, or of as many of the last ones as the context has room for.

    Raises:
        InputError: it has no room for the last pair.
    """
    for first in range(len(pairs)):
        lesson = token_lesson(serialisation, pairs[first:])
        if len(lesson.ids) - 1 <= model.context:  # the last token is not read
            return lesson
    raise InputError(
        f"a pair of {len(lesson.ids)} tokens is longer than the context of {model.context} that {model.name!r} has; "
        "take a model with a longer one."
    )


def _passes(lessons: Lessons, *, alone: bool) -> Iterator[Lessons]:
    """Split the slots into passes of a bounded number of tokens or of one slot."""
    together: Lessons = {}
    tokens = 0
    for slot, own in lessons.items():
        length = sum(len(lesson.ids) for lesson in own)
        if together and (alone or tokens + length > _TOKENS_A_PASS):
            yield together
            together, tokens = {}, 0
        together[slot] = own
        tokens += length
    yield together


def _gradients(model: LanguageModel, bank: AdapterBank, lessons: Lessons) -> None:
    """A pass for these slots, there and back; the loss of each is the mean over all its learnt tokens."""
    every = [lesson for own in lessons.values() for lesson in own]
    batch = model.reader.batch([lesson.ids[:-1] for lesson in every])
    rows = iter(batch.rows)
    bank.route(list(lessons), [sum(islice(rows, len(own))) for own in lessons.values()], learn=True)
    begins = accumulate(batch.lengths, initial=0)
    places = [begin + place - 1 for begin, lesson in zip(begins, every, strict=False) for place in lesson.learnt]
    targets = [lesson.ids[place] for lesson in every for place in lesson.learnt]
    with torch.enable_grad():
        hidden = model.reader.hidden(batch)[torch.tensor(places, device=model.device)]
        losses = token_losses(model.reader, hidden, torch.tensor(targets, device=model.device))
        learnt = [sum(len(lesson.learnt) for lesson in own) for own in lessons.values()]
        Routing(learnt, model.device).mean(losses).sum().backward()
