"""What an objective has to offer: an example as the model reads it, and its loss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from whet.models import LanguageModel
    from whet.models.packing import Batch, Reader
    from whet.types import Example


@dataclass(frozen=True)
class Lesson:
    """An example as the model reads it.

    Attributes:
        ids: the start token, the input and the target, cut at the context.
        learnt: how many of the last tokens are learnt.
        bytes: UTF-8 bytes of the learnt tokens.
    """

    ids: tuple[int, ...]
    learnt: int
    bytes: int

    def bits_per_byte(self, nats_per_token: float) -> float:
        """A loss in bits for each byte of what is learnt."""
        return nats_per_token * self.learnt / math.log(2) / self.bytes


class Objective(Protocol):
    """What is minimised."""

    def lesson(self, model: LanguageModel, example: Example) -> Lesson:
        """Tokens of an example, and which of them are learnt.

        Raises:
            InputError: there is nothing to learn from it.
        """

    def losses(self, reader: Reader, hidden: Tensor, batch: Batch, lessons: Sequence[Lesson]) -> Tensor:
        """Mean loss of each lesson in nats per learnt token, `(lessons,)`; what `backward` starts from.

        Args:
            reader: of the model.
            hidden: last hidden states of the batch, `(tokens, width)`, lesson after lesson.
            batch: the lessons as they were read, by `read_lessons`.
            lessons: in the order of the batch.
        """


def read_lessons(reader: Reader, lessons: Sequence[Lesson], *, virtual: int = 0) -> Batch:
    """Lay lessons out for one pass: all tokens but the last of each, which is only predicted.

    `virtual` start tokens come before each, for forms of adapters that put something else in their place.
    """
    ahead = (reader.model.start,) * virtual
    return reader.batch([ahead + lesson.ids[:-1] for lesson in lessons])


def learnt_rows(batch: Batch, lessons: Sequence[Lesson]) -> Tensor:
    """Places among the hidden states of a batch from which the learnt tokens are predicted: `(learnt tokens,)`."""
    import torch

    ends = torch.tensor(batch.lengths).cumsum(0).tolist()
    rows = [torch.arange(end - lesson.learnt, end) for end, lesson in zip(ends, lessons, strict=True)]
    return torch.cat(rows).to(batch.ids.device)


def lesson_bits(model: LanguageModel, objective: Objective, lesson: Lesson, *, virtual: int = 0) -> float:
    """Loss of a lesson in bits per byte, without a gradient."""
    import torch

    with torch.inference_mode():
        batch = read_lessons(model.reader, [lesson], virtual=virtual)
        losses = objective.losses(model.reader, model.reader.hidden(batch), batch, [lesson])
        return lesson.bits_per_byte(losses.item())
