"""Learning the predictions of another model, or of the same model with another adapter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from whet.adaptation.objectives.base import Lesson, learnt_rows, read_lessons
from whet.adaptation.objectives.lengths import check_too_long
from whet.adaptation.objectives.next_token import NextToken, lesson_means
from whet.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from whet.adaptation.bank import AdapterBank
    from whet.models import LanguageModel
    from whet.models.packing import Batch, Reader
    from whet.types import Example


@dataclass(frozen=True, kw_only=True)
class TaughtLesson(Lesson):
    """A lesson with what the teacher made of it.

    Attributes:
        taught: the teacher's last hidden states, from which the learnt tokens are predicted, `(learnt, width)`.
    """

    taught: Tensor = field(compare=False, repr=False)


@dataclass(frozen=True)
class Distillation:
    """Divergence of the student's predictions from the teacher's, at temperature T:

        T² KL(softmax(t / T) ‖ softmax(s / T)),   t and s: logits of the teacher and the student

    The factor T² keeps the gradient's size when T changes. The teacher reads an example when its lesson is made; at
    that time no adapter but its own may be attached to it. A lesson keeps the teacher's hidden states, which are much
    smaller than its logits.

    Source: Hinton et al. 2015, arXiv 1503.02531, §2.

    Attributes:
        teacher: a model with the student's vocabulary; the student's own model will do.
        bank: adapters on the teacher; None for the teacher as it is.
        slot: which of them it has.
        temperature: T.
        completion: learn the predictions of the target only, given the input.
        too_long: what to do with an example longer than the student's context, as in `NextToken`.
    """

    teacher: LanguageModel
    bank: AdapterBank | None = None
    slot: int = 0
    temperature: float = 1.0
    completion: bool = False
    too_long: str = "cut"

    def __post_init__(self) -> None:
        check_too_long(self.too_long)
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise InputError(f"temperature={self.temperature}: give a positive number, such as 1.")
        if self.bank is not None and self.bank.module is not self.teacher.module:
            raise InputError("bank: its adapters are on another model than the teacher; give a bank on teacher.module.")

    def lesson(self, model: LanguageModel, example: Example) -> TaughtLesson:
        """Tokens of an example, read by the teacher.

        Raises:
            InputError: the example has no target, the teacher has another vocabulary, or the lesson does not fit its
                context.
        """
        if self._other_vocabulary(model, example):
            raise InputError(
                f"teacher={self.teacher.name!r} has another vocabulary than {model.name!r}; "
                "distil from a model with the same tokenizer."
            )
        lesson = NextToken(completion=self.completion, too_long=self.too_long).lesson(model, example)
        return TaughtLesson(**vars(lesson), taught=self._taught(lesson))

    def losses(self, reader: Reader, hidden: Tensor, batch: Batch, lessons: Sequence[TaughtLesson]) -> Tensor:
        """Mean divergence in nats over each lesson's learnt tokens, `(lessons,)`."""
        import torch
        from torch.nn.functional import kl_div

        from whet.adaptation.objectives.stretches import logits_of, row_losses

        taught = torch.cat([lesson.taught for lesson in lessons])

        def divergence(logits: Tensor, part: slice) -> Tensor:
            theirs = logits_of(self.teacher.reader, taught[part]).to(logits.device)
            shared = min(theirs.shape[1], logits.shape[1])  # tables of one vocabulary may be padded to different sizes
            wanted, ours = ((found[:, :shared] / self.temperature).log_softmax(1) for found in (theirs, logits))
            return kl_div(ours, wanted, reduction="none", log_target=True).sum(1) * self.temperature**2

        return lesson_means(row_losses(reader, hidden[learnt_rows(batch, lessons)], divergence), lessons)

    def _taught(self, lesson: Lesson) -> Tensor:
        import torch

        reader = self.teacher.reader
        with torch.no_grad(), nullcontext() if self.bank is None else self.bank.using(self.slot):
            batch = read_lessons(reader, [lesson])
            return reader.hidden(batch)[learnt_rows(batch, [lesson])]

    def _other_vocabulary(self, model: LanguageModel, example: Example) -> bool:
        """Whether the tokens differ, as far as this example shows."""
        teacher = self.teacher
        if teacher.tokenizer is model.tokenizer:
            return False
        sizes = len(teacher.tokenizer), len(model.tokenizer)
        return sizes[0] != sizes[1] or teacher.encode(example.text) != model.encode(example.text)
