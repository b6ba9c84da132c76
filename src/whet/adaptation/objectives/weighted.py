"""Examples that count more or less than others."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from whet.adaptation.objectives.base import Lesson, Objective
from whet.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from whet.models import LanguageModel
    from whet.models.packing import Batch, Reader
    from whet.types import Example


@dataclass(frozen=True)
class Weighted:
    """An objective whose loss is multiplied by a weight of the example, such as trust in its source or similarity.

    Adam divides by the size of the gradients that it has seen. So what counts is an example's weight beside those of
    the examples before it in the same slot; equal weights for all change next to nothing. Losses that are reported are
    weighted as well.

    Attributes:
        objective: what is weighted.
        weight_of: weight of an example, finite and not negative.
    """

    objective: Objective
    weight_of: Callable[[Example], float]

    def lesson(self, model: LanguageModel, example: Example) -> Lesson:
        """The objective's lesson with its weight.

        Raises:
            InputError: the weight is negative or not finite, or the objective refuses the example.
        """
        weight = float(self.weight_of(example))
        if not (math.isfinite(weight) and weight >= 0):
            raise InputError(
                f"weight_of gave {weight} for the example {example.id}; give a finite number that is not negative."
            )
        return replace(self.objective.lesson(model, example), weight=weight)

    def losses(self, reader: Reader, hidden: Tensor, batch: Batch, lessons: Sequence[Lesson]) -> Tensor:
        """The objective's losses times the weights, `(lessons,)`."""
        losses = self.objective.losses(reader, hidden, batch, lessons)
        return losses * losses.new_tensor([lesson.weight for lesson in lessons])
