"""What an objective has to offer: an example as the model reads it, and its loss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from typing import TYPE_CHECKING, Any, Protocol, Self

from whet.models.packing import Batch

if TYPE_CHECKING:
    from torch import Tensor

    from whet.models import LanguageModel
    from whet.models.packing import Reader
    from whet.types import Example


@dataclass(frozen=True)
class Lesson:
    """An example as the model reads it.

    Attributes:
        ids: the start token, the input and the target; of a lesson in stretches, all that is read of them.
        learnt: how many of the last tokens are learnt; of a lesson in stretches, of all of them together.
        bytes: UTF-8 bytes of the learnt tokens.
        weight: what `Weighted` multiplies its loss by.
        stretches: lessons that this one is made of, where an example is longer than the context; one step learns all.
    """

    ids: tuple[int, ...]
    learnt: int
    bytes: int
    weight: float = 1.0
    stretches: tuple[Self, ...] = ()

    @property
    def parts(self) -> tuple[Self, ...]:
        """The stretches, or the lesson itself if it is in one."""
        return self.stretches or (self,)

    @property
    def sequences(self) -> tuple[tuple[int, ...], ...]:
        """What the model reads, at least one sequence: of each part all but the last token, which is only predicted."""
        return tuple(part.ids[:-1] for part in self.parts)

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

    def losses(self, reader: Reader, hidden: Tensor, batch: Batch, lessons: Sequence[Any]) -> Tensor:
        """Mean loss of each lesson in nats per learnt token, `(lessons,)`; what `backward` starts from.

        Args:
            reader: of the model.
            hidden: last hidden states of the batch, `(tokens, width)`, lesson after lesson.
            batch: the lessons as they were read, by `read_lessons`.
            lessons: those that this objective's `lesson` made, in the order of the batch.
        """


@dataclass(frozen=True)
class LessonBatch(Batch):
    """The sequences of some lessons, lesson after lesson.

    Attributes:
        sequences: how many sequences each lesson has.
    """

    sequences: tuple[int, ...]

    @property
    def rows(self) -> tuple[int, ...]:
        """Rows that each lesson takes in the flattened batch, padding included."""
        rows = iter(super().rows)
        return tuple(sum(islice(rows, count)) for count in self.sequences)


def read_lessons(reader: Reader, lessons: Sequence[Lesson]) -> LessonBatch:
    """Lay the sequences of lessons out for one pass."""
    batch = reader.batch([sequence for lesson in lessons for sequence in lesson.sequences])
    return LessonBatch(batch.ids, batch.lengths, batch.packed, tuple(len(lesson.sequences) for lesson in lessons))


def learnt_rows(batch: Batch, lessons: Sequence[Lesson]) -> Tensor:
    """Places among the hidden states of a batch from which the learnt tokens are predicted: `(learnt tokens,)`.

    For lessons whose parts are one sequence each, of which the last tokens are learnt.
    """
    import torch

    parts = [part for lesson in lessons for part in lesson.parts]
    rows = [torch.arange(end - part.learnt, end) for end, part in zip(accumulate(batch.lengths), parts, strict=True)]
    return torch.cat(rows).to(batch.ids.device)


def learnt_tokens(lessons: Sequence[Lesson]) -> list[int]:
    """The tokens that belong to `learnt_rows`."""
    return [token for lesson in lessons for part in lesson.parts for token in part.ids[-part.learnt :]]


def lesson_bits(model: LanguageModel, objective: Objective, lesson: Lesson) -> float:
    """Loss of a lesson in bits per byte, without a gradient."""
    import torch

    with torch.inference_mode():
        batch = read_lessons(model.reader, [lesson])
        losses = objective.losses(model.reader, model.reader.hidden(batch), batch, [lesson])
        return lesson.bits_per_byte(losses.item())
