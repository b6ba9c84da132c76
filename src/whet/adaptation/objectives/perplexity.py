"""Learning only what the model finds hard to predict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from whet.adaptation.objectives.base import Lesson
from whet.adaptation.objectives.lengths import check_too_long
from whet.adaptation.objectives.next_token import NextToken, mean_losses
from whet.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from whet.models import LanguageModel
    from whet.models.packing import Batch, Reader
    from whet.types import Example


@dataclass(frozen=True)
class Perplexity:
    """Log perplexity of a text, weighted by how far its perplexity P is above a threshold P₀:

        S log P,   S = λ P / P₀ where P > P₀, else 0

    For a prompt without any example: `Example(target=prompt)`. P is that of the adapted model at the step; S counts as
    a constant. A text below the threshold has loss and gradient zero, so a slot that met no other stays as it was; the
    momentum of earlier steps still moves one that did.

    Source: Hu et al. 2025, arXiv 2505.20633 (TLM). The paper writes the loss S P, whose gradient is that of this one
    times P; training code that descends from the authors' (github.com/atoroghi/TTLR-Release at 296600b,
    src/llamafactory/train/ttl/trainer.py) takes S log P with S as a constant, as here, with P of the model being
    trained in its online setting and of the base model in its offline one. P₀ = e³ and λ = 0.1 are those of the
    authors' example settings (github.com/Fhujinwu/TLM at 0613606: `threshold: 3`, which is log P₀, and `lamb: 0.1`).

    Attributes:
        threshold: P₀, per token.
        scale: λ.
        too_long: what to do with a text longer than the context, as in `NextToken`.
    """

    threshold: float = math.exp(3)
    scale: float = 0.1
    too_long: str = "cut"

    def __post_init__(self) -> None:
        check_too_long(self.too_long)
        if not (math.isfinite(self.threshold) and self.threshold > 0):
            raise InputError(f"threshold={self.threshold}: a perplexity is a positive number; 1 or less lets all in.")
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise InputError(f"scale={self.scale}: give a positive number, such as 0.1.")

    def lesson(self, model: LanguageModel, example: Example) -> Lesson:
        """Tokens of an example.

        Raises:
            InputError: the example has no target, or is too long and was to be refused.
        """
        return NextToken(too_long=self.too_long).lesson(model, example)

    def losses(self, reader: Reader, hidden: Tensor, batch: Batch, lessons: Sequence[Lesson]) -> Tensor:
        """Weighted mean of each lesson's tokens, `(lessons,)`."""
        logs = mean_losses(reader, hidden, batch, lessons)
        above = logs.detach() - math.log(self.threshold)
        return logs * above.exp() * (above > 0) * self.scale
