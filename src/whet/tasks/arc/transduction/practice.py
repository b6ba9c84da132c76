"""Test-time training: the net is trained on the demonstrations of one task before it answers.

Each demonstration in turn is what has to be predicted from the others (Akyürek et al. 2024, arXiv 2411.07279), in
random views that keep the rule.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from whet.models.precision import low_products
from whet.programs.limits import Meter
from whet.tasks.arc.leave_out import leave_out
from whet.tasks.arc.task import ArcTask, Episode
from whet.tasks.arc.transduction.encoding import Cells, Question, encode, encode_answers
from whet.tasks.arc.transduction.looks import Look, random_look
from whet.tasks.arc.transduction.loss import losses, mean_loss

if TYPE_CHECKING:
    from torch import Tensor

    from whet.adaptation.bank import AdapterBank
    from whet.models.grid_net import GridBatch, GridNet


@dataclass(frozen=True)
class Practice:
    """How the net is trained on a task.

    Attributes:
        steps: how many updates.
        episodes: how many episodes go into each.
        lr: learning rate; it falls linearly to zero.
        views: whether each episode is seen in a random view, or as it is.
        context: whether a pair is predicted from the others, or from its input alone.
        seed: what the draws depend on.
        left_out: the most demonstrations that an episode leaves out, the one to predict among them.
    """

    steps: int = 40
    episodes: int = 4
    lr: float = 1e-3
    views: bool = True
    context: bool = True
    seed: int = 0
    left_out: int = 1

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        return self.lr * (1 - step / self.steps)


def episodes_of(task: ArcTask, practice: Practice) -> list[Episode]:
    """The episodes that a task offers; none, where it has one demonstration and the others are to be shown."""
    if practice.context:
        return [episode for n in range(1, practice.left_out + 1) for episode in leave_out(task, n).episodes]
    return [Episode((), pair) for pair in task.train]


def practised(net: GridNet, task: ArcTask, practice: Practice, meter: Meter | None = None) -> tuple[GridNet, int]:
    """A copy of the net, all of whose weights were trained on the task, and the number of steps that took.

    Where there are no episodes it is the net itself.

    Args:
        net: is left as it is.
        task: the task.
        practice: how the copy is trained.
        meter: the time that no step begins after, if it is limited.
    """
    episodes = episodes_of(task, practice)
    if not episodes:
        return net, 0
    meter = meter or Meter(math.inf)
    own = copy.deepcopy(net).requires_grad_(True)
    optimiser = torch.optim.AdamW(own.parameters(), lr=practice.lr, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
    rng = np.random.default_rng(practice.seed)
    step = 0
    while step < practice.steps and meter.go_on():
        for group in optimiser.param_groups:
            group["lr"] = practice.rate(step)
        batch, colours, sides = drawn(rng, episodes, practice)
        with low_products():
            cells, sizes = own(batch)
        mean_loss(cells, sizes, colours, sides).backward()
        torch.nn.utils.clip_grad_norm_(own.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        step += 1
    return own.requires_grad_(False), step


def practise_slots(bank: AdapterBank, tasks: Sequence[ArcTask], practice: Practice) -> None:
    """Train the first slots of a bank, one for each task, all in the same passes; slots without episodes stay."""
    work = {slot: found for slot, task in enumerate(tasks) if (found := episodes_of(task, practice))}
    for slot in range(len(tasks)):
        bank.reset(slot, seed=practice.seed)
    rngs = {slot: np.random.default_rng(practice.seed) for slot in work}
    slots = list(work)
    if not slots:
        return
    made: list[torch.optim.Optimizer] = []
    make = _maker(practice, made)
    with bank.attached():
        for step in range(practice.steps):
            for optimiser in made:
                optimiser.param_groups[0]["lr"] = practice.rate(step)
            bank.route(slots, [practice.episodes] * len(slots), learn=True)
            batch, colours, sides = _joined([_picked(rngs[slot], work[slot], practice) for slot in slots])
            cells, sizes = bank.module(batch)
            # the sum over tasks of each task's mean: a task's gradient is its own
            (losses(cells, sizes, colours, sides).sum() / practice.episodes).backward()
            bank.step(make, clip=1.0)


def _maker(practice: Practice, made: list[torch.optim.Optimizer]) -> Callable[[list[Tensor]], torch.optim.Optimizer]:
    def make(rows: list[Tensor]) -> torch.optim.Optimizer:
        made.append(torch.optim.Adam(rows, lr=practice.lr, betas=(0.9, 0.95)))
        return made[-1]

    return make


def drawn(
    rng: np.random.Generator, episodes: Sequence[Episode], practice: Practice
) -> tuple[GridBatch, Tensor, Tensor]:
    """Episodes for one update, and their targets as `encode_answers` has them."""
    return _joined([_picked(rng, episodes, practice)])


def _picked(
    rng: np.random.Generator, episodes: Sequence[Episode], practice: Practice
) -> list[tuple[Question, Sequence[Cells]]]:
    """Whole rounds of the episodes, each round in another order, cut to as many as one update takes."""
    rounds = -(-practice.episodes // len(episodes))
    chosen = [int(i) for _ in range(rounds) for i in rng.permutation(len(episodes))][: practice.episodes]
    return [_question(episodes[i], random_look(rng) if practice.views else Look()) for i in chosen]


def _question(episode: Episode, look: Look) -> tuple[Question, Sequence[Cells]]:
    shown = look.pairs((pair.input, pair.output) for pair in episode.demonstrations)
    answer = look.grid(episode.target.output)
    return Question(shown, [look.grid(episode.target.input)], [(answer.shape[0], answer.shape[1])]), [answer]


def _joined(
    parts: Sequence[Sequence[tuple[Question, Sequence[Cells]]]],
) -> tuple[GridBatch, Tensor, Tensor]:
    every = [one for part in parts for one in part]
    batch = encode([question for question, _ in every])
    return batch, *encode_answers([question for question, _ in every], [answers for _, answers in every], batch)
