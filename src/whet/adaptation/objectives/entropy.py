"""Making the model surer of what follows, whatever that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from whet.adaptation.objectives.base import Lesson, learnt_rows
from whet.adaptation.objectives.lengths import check_too_long
from whet.adaptation.objectives.next_token import NextToken, lesson_means

if TYPE_CHECKING:
    from torch import Tensor

    from whet.models import LanguageModel
    from whet.models.packing import Batch, Reader
    from whet.types import Example


@dataclass(frozen=True)
class Entropy:
    """Mean entropy of the distributions from which the tokens of a text are predicted.

    For a prompt without any example: `Example(target=prompt)`. The tokens themselves are not looked at, so it has no
    lower bound of use: a model that is sure of nonsense has none either. Take few steps.

    Source: Wang et al. 2021, arXiv 2006.10726 (TENT), there for classifiers.

    Attributes:
        too_long: what to do with a text longer than the context, as in `NextToken`.
    """

    too_long: str = "cut"

    def __post_init__(self) -> None:
        check_too_long(self.too_long)

    def lesson(self, model: LanguageModel, example: Example) -> Lesson:
        """Tokens of an example.

        Raises:
            InputError: the example has no target, or is too long and was to be refused.
        """
        return NextToken(too_long=self.too_long).lesson(model, example)

    def losses(self, reader: Reader, hidden: Tensor, batch: Batch, lessons: Sequence[Lesson]) -> Tensor:
        """Mean entropy in nats over each lesson's positions, `(lessons,)`."""
        from whet.adaptation.objectives.stretches import row_losses

        entropies = row_losses(reader, hidden[learnt_rows(batch, lessons)], _entropies)
        return lesson_means(entropies, lessons)


def _entropies(logits: Tensor, _: slice) -> Tensor:
    logs = logits.log_softmax(1)
    return -(logs.exp() * logs).sum(1)
