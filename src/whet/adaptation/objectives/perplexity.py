"""Learning only what the model finds hard to predict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from whet.adaptation.objectives.base import Lesson
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

    Source: Hu et al. 2025, arXiv 2505.20633 (TLM), whose loss is S P: its gradient is that of this one times P.

    Attributes:
        threshold: P₀, per token.
        scale: λ.
    """

    threshold: float = math.exp(3)
    scale: float = 0.1

    def __post_init__(self) -> None:
        if not (math.isfinite(self.threshold) and self.threshold > 0):
            raise InputError(f"threshold={self.threshold}: a perplexity is a positive number; 1 or less lets all in.")
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise InputError(f"scale={self.scale}: give a positive number, such as 0.1.")

    def lesson(self, model: LanguageModel, example: Example) -> Lesson:
        """Tokens of an example.

        Raises:
            InputError: the example has no target.
        """
        return NextToken().lesson(model, example)

    def losses(self, reader: Reader, hidden: Tensor, batch: Batch, lessons: Sequence[Lesson]) -> Tensor:
        """Weighted mean of each lesson's tokens, `(lessons,)`."""
        logs = mean_losses(reader, hidden, batch, lessons)
        above = logs.detach() - math.log(self.threshold)
        return logs * above.exp() * (above > 0) * self.scale
