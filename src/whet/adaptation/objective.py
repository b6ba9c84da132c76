"""What an adapter is trained to do with an example: raise the likelihood of its text, or of its target alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from whet.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from whet.models import LanguageModel
    from whet.models.packing import Batch, Reader
    from whet.types import Example

Objective = Literal["all", "completion"]


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


def lesson(model: LanguageModel, example: Example, objective: Objective) -> Lesson:
    """Tokens of an example, and which of them are learnt: all, or with `completion` those of the target.

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
    learnt = len(ids) - 1 if objective == "all" else len(target)
    text = model.decode(ids[len(ids) - learnt :])
    return Lesson(tuple(ids), learnt, max(1, len(text.encode())))


def read_lessons(reader: Reader, lessons: Sequence[Lesson], *, virtual: int = 0) -> Batch:
    """Lay lessons out for one pass: all tokens but the last of each, which is only predicted.

    `virtual` start tokens come before each, for forms of adapters that put something else in their place.
    """
    ahead = (reader.model.start,) * virtual
    return reader.batch([ahead + lesson.ids[:-1] for lesson in lessons])


def token_losses(reader: Reader, hidden: Tensor, batch: Batch, lessons: Sequence[Lesson]) -> Tensor:
    """Negative log-likelihood in nats of all learnt tokens, lesson after lesson: `(learnt tokens,)`.

    Args:
        hidden: last hidden states of the batch, `(tokens, width)`.
    """
    import torch
    from torch.nn.functional import cross_entropy

    from whet.adaptation.kernels import frozen_cross_entropy

    ends = torch.tensor(batch.lengths).cumsum(0).tolist()
    rows = torch.cat([torch.arange(end - lesson.learnt, end) for end, lesson in zip(ends, lessons, strict=True)]).to(
        hidden.device
    )
    targets = torch.tensor([token for lesson in lessons for token in lesson.ids[-lesson.learnt :]]).to(hidden.device)
    if len(rows) < len(hidden):
        hidden = hidden[rows]
    if reader.output is not None:
        return frozen_cross_entropy(hidden, *reader.output, targets)
    return cross_entropy(reader.logits(hidden).float(), targets, reduction="none")


def lesson_losses(reader: Reader, hidden: Tensor, batch: Batch, lessons: Sequence[Lesson]) -> Tensor:
    """Mean loss of each lesson in nats per token, `(lessons,)`."""
    from whet.adaptation.routing import Routing

    losses = token_losses(reader, hidden, batch, lessons)
    return Routing([lesson.learnt for lesson in lessons], hidden.device).mean(losses)


def lesson_bits(model: LanguageModel, part: Lesson, *, virtual: int = 0) -> float:
    """Loss of a lesson in bits per byte, without a gradient."""
    import torch

    with torch.inference_mode():
        batch = read_lessons(model.reader, [part], virtual=virtual)
        return part.bits_per_byte(lesson_losses(model.reader, model.reader.hidden(batch), batch, [part]).item())
