"""Training adapters: for each slot one gradient step an example, in the order given, with all slots in one pass."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from whet.adaptation.objectives import OBJECTIVES, Lesson, Objective
from whet.adaptation.objectives.base import read_lessons
from whet.errors import InputError

if TYPE_CHECKING:
    import torch

    from whet.adaptation.bank import AdapterBank
    from whet.models import LanguageModel
    from whet.types import Example

_TOKENS_A_PASS = 2048  # more tokens together are no faster, and cost memory


@dataclass(frozen=True)
class TrainConfig:
    """How an adapter is trained.

    Attributes:
        lr: learning rate of Adam, constant.
        objective: one of `OBJECTIVES`: learn `all` tokens of an example, or its `completion` (the target) only.
        clip: largest norm of a gradient; longer ones are shortened to it. None leaves them as they are.
    """

    lr: float = 3e-3
    objective: str = "all"
    clip: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.lr) and self.lr > 0):
            raise InputError(f"lr={self.lr}: the learning rate is a positive number, such as 0.003.")
        if self.objective not in OBJECTIVES:
            raise InputError(f"objective={self.objective!r}: give one of {', '.join(OBJECTIVES)}.")
        if self.clip is not None and not self.clip > 0:
            raise InputError(f"clip={self.clip}: give a positive number, or None not to clip.")


@dataclass
class Trace:
    """What happened to a slot.

    Attributes:
        losses: loss of each step before it was taken, in bits per byte.
        tokens: tokens that were trained on.
        failed: why training ended early, if a loss or gradient was not finite; that step was not taken.
    """

    losses: list[float] = field(default_factory=list)
    tokens: int = 0
    failed: str | None = None

    @property
    def steps(self) -> int:
        """Gradient steps that were taken."""
        return len(self.losses) - (self.failed is not None)


class Trainer:
    """Trains the slots of a bank on a frozen language model; the state of a slot's Adam lives until the slot is reset.

    Source: Hübotter et al. 2025, arXiv 2410.08020: one step a pick, in pick order, batch of one, back to the base
    model after each query. They train all weights, one query at a time; here only adapters move, and a step of many
    queries is one pass. A slot comes out as if it had been trained alone.

    Args:
        model: the frozen model.
        bank: slots on that model.
        config: how they are trained.
        objective: what is minimised, where a name in the configuration does not say enough.
    """

    def __init__(
        self, model: LanguageModel, bank: AdapterBank, config: TrainConfig, *, objective: Objective | None = None
    ) -> None:
        self.model = model
        self.bank = bank
        self.config = config
        self.objective = objective or OBJECTIVES[config.objective]()

    def run(
        self, examples: Mapping[int, Sequence[Example]], *, stop: Callable[[int], bool] | None = None
    ) -> dict[int, Trace]:
        """Take a step on each slot's next example until all are used up or `stop(steps so far)` says enough.

        Raises:
            InputError: an example has no target.
        """
        import torch

        traces = {slot: Trace() for slot in examples}
        waiting = {
            slot: deque(self.objective.lesson(self.model, example) for example in those)
            for slot, those in examples.items()
        }
        taken = 0
        with self.bank.attached(), torch.enable_grad():
            while any(waiting.values()) and not (stop is not None and stop(taken)):
                ahead = {slot: left.popleft() for slot, left in waiting.items() if left}
                for together in _passes(ahead):
                    self._step(together, traces)
                for slot, trace in traces.items():
                    if trace.failed:
                        waiting[slot].clear()
                taken += 1
        return traces

    def _step(self, lessons: Mapping[int, Lesson], traces: Mapping[int, Trace]) -> None:
        """Take one step for each of these slots, in one pass."""
        reader = self.model.reader
        batch = read_lessons(reader, list(lessons.values()), virtual=self.bank.bound.virtual)
        self.bank.route(list(lessons), batch.rows, learn=True)
        hidden = reader.hidden(batch)
        losses = self.objective.losses(reader, hidden, batch, list(lessons.values()))
        losses.sum().backward()
        moved = self.bank.step(self._optimiser, clip=self.config.clip)
        for slot, loss in zip(lessons, losses.tolist(), strict=True):
            trace = traces[slot]
            trace.losses.append(lessons[slot].bits_per_byte(loss))
            trace.tokens += len(lessons[slot].ids)
            if slot not in moved:
                trace.failed = f"the loss or its gradient is not finite in step {len(trace.losses)} (loss {loss})"

    def _optimiser(self, rows: list[torch.Tensor]) -> torch.optim.Optimizer:
        import torch

        return torch.optim.Adam(rows, lr=self.config.lr, fused=True)


def _passes(lessons: Mapping[int, Lesson]) -> Iterator[dict[int, Lesson]]:
    """Split what is to be read into passes of a bounded number of tokens, equal lengths side by side."""
    together: dict[int, Lesson] = {}
    tokens = 0
    for slot in sorted(lessons, key=lambda slot: (len(lessons[slot].ids), slot)):
        length = len(lessons[slot].ids)
        if together and tokens + length > _TOKENS_A_PASS:
            yield together
            together, tokens = {}, 0
        together[slot] = lessons[slot]
        tokens += length
    yield together
