"""Raising the likelihood of an example's text, or of its target alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from whet.adaptation.objectives.base import Lesson, learnt_rows
from whet.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from whet.models import LanguageModel
    from whet.models.packing import Batch, Reader
    from whet.types import Example


@dataclass(frozen=True)
class NextToken:
    """Negative log-likelihood of each token after those before it.

    A prompt alone can be learnt as well, as in SLOT (Hu et al. 2025, arXiv 2505.12392: a few steps on the prompt before
    it is answered): `Example(target=prompt)`.

    Attributes:
        completion: learn the target only, given the input.
    """

    completion: bool = False

    def lesson(self, model: LanguageModel, example: Example) -> Lesson:
        """Tokens of an example.

        An input that would leave no room for the target keeps its last part, up to half the context; a target longer
        than the room left keeps its first part.

        Raises:
            InputError: the example has no target.
        """
        target = model.encode(example.target)
        if not target:
            raise InputError(f"the example {example.id} has an empty target; there is nothing to learn from it.")
        given = model.encode(example.input) if example.input else []
        room = model.context - 1
        given = given[max(0, len(given) - max(room - len(target), room // 2)) :]
        target = target[: room - len(given)]
        ids = [model.start, *given, *target]
        learnt = len(target) if self.completion else len(ids) - 1
        text = model.decode(ids[len(ids) - learnt :])
        return Lesson(tuple(ids), learnt, max(1, len(text.encode())))

    def losses(self, reader: Reader, hidden: Tensor, batch: Batch, lessons: Sequence[Lesson]) -> Tensor:
        """Mean of each lesson's learnt tokens, `(lessons,)`."""
        return mean_losses(reader, hidden, batch, lessons)


def mean_losses(reader: Reader, hidden: Tensor, batch: Batch, lessons: Sequence[Lesson]) -> Tensor:
    """Mean negative log-likelihood in nats of each lesson's learnt tokens, `(lessons,)`."""
    import torch

    rows = learnt_rows(batch, lessons)
    targets = torch.tensor([token for lesson in lessons for token in lesson.ids[-lesson.learnt :]], device=rows.device)
    if len(rows) < len(hidden):
        hidden = hidden[rows]
    return lesson_means(token_losses(reader, hidden, targets), lessons)


def lesson_means(values: Tensor, lessons: Sequence[Lesson]) -> Tensor:
    """Mean over each lesson's learnt tokens of `values (learnt tokens,)`, lesson after lesson: `(lessons,)`."""
    from whet.adaptation.routing import Routing

    return Routing([lesson.learnt for lesson in lessons], values.device).mean(values)


def token_losses(reader: Reader, hidden: Tensor, targets: Tensor) -> Tensor:
    """Negative log-likelihood in nats, `(n,)`, of the tokens `targets (n,)` after the states `hidden (n, width)`."""
    from torch.nn.functional import cross_entropy

    from whet.adaptation.kernels import frozen_cross_entropy

    if reader.output is not None:
        return frozen_cross_entropy(hidden, *reader.output, targets)
    return cross_entropy(reader.logits(hidden).float(), targets, reduction="none")
