"""Training an adapter: Adam, one gradient step for each example, in the order given."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from whet.adaptation.objective import Objective, bits_per_byte, lesson, lesson_nats
from whet.errors import InputError

if TYPE_CHECKING:
    from whet.adaptation.lora import LoraAdapter
    from whet.models import LanguageModel
    from whet.types import Example


@dataclass(frozen=True)
class TrainConfig:
    """How an adapter is trained.

    Attributes:
        lr: learning rate of Adam, constant.
        objective: learn `all` tokens of an example, or its `completion` (the target) only.
    """

    lr: float = 3e-3
    objective: Objective = "all"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.lr) and self.lr > 0):
            raise InputError(f"lr={self.lr}: the learning rate is a positive number, such as 0.003.")
        if self.objective not in get_args(Objective):
            raise InputError(f"objective={self.objective!r}: give one of {', '.join(get_args(Objective))}.")


class Trainer:
    """Trains one adapter on a frozen model, example by example; the state of Adam lives as long as the trainer.

    Source: Hübotter et al. 2025, arXiv 2410.08020: one step a pick, in pick order, batch of one, back to the base
    model after each query. They train all weights; here only the adapter moves.

    Attributes:
        losses: loss of each step before it was taken, in bits per byte.
        tokens: tokens that were trained on.
    """

    def __init__(self, model: LanguageModel, adapter: LoraAdapter, config: TrainConfig) -> None:
        import torch

        self.model = model
        self.adapter = adapter
        self.config = config
        self.losses: list[float] = []
        self.tokens = 0
        self._adam = torch.optim.Adam(adapter.parameters, lr=config.lr, fused=True)

    def run(self, examples: Sequence[Example], *, stop: Callable[[int], bool] | None = None) -> int:
        """Take a step on each example until `stop(steps so far)` says enough; returns the number of steps taken."""
        import torch

        taken = 0
        with self.adapter.attached(self.model), torch.enable_grad():
            for example in examples:
                if stop is not None and stop(taken):
                    break
                self._step(example)
                taken += 1
        return taken

    def _step(self, example: Example) -> None:
        part = lesson(self.model, example, self.config.objective)
        nats = lesson_nats(self.model, part)
        nats.backward()  # type: ignore[no-untyped-call]
        self._adam.step()
        self._adam.zero_grad()
        self.losses.append(bits_per_byte(part, nats.item()))
        self.tokens += part.ids.shape[1]
