"""Classifying with a language model: one label against the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from whet.adaptation.objectives.base import Lesson
from whet.adaptation.objectives.next_token import token_losses
from whet.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from whet.models import LanguageModel
    from whet.models.packing import Batch, Reader
    from whet.types import Example


@dataclass(frozen=True, kw_only=True)
class LabelLesson(Lesson):
    """An input before each label. What is learnt is one choice, so `learnt` and `bytes` are 1: losses are per choice.

    Attributes:
        labels: the tokens of each label.
        right: number of the right one, which ends `ids`.
    """

    labels: tuple[tuple[int, ...], ...]
    right: int

    @property
    def given(self) -> tuple[int, ...]:
        """The start token and the input."""
        return self.ids[: len(self.ids) - len(self.labels[self.right])]

    @property
    def sequences(self) -> tuple[tuple[int, ...], ...]:
        """The input with all tokens of a label but the last; once for all labels of one token."""
        return tuple(dict.fromkeys(self.given + label[:-1] for label in self.labels))


@dataclass(frozen=True)
class Labels:
    """Negative log of the right label's share of the likelihood of all labels after the input:

        −log (p(right | input) / Σ p(label | input))

    The example's input is classified, and its target is the right label, word for word. A label that another one begins
    with ("no", "none") has that one's likelihood in its own.

    Attributes:
        labels: the texts of at least two labels, as they follow the input (often with a space before).
    """

    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.labels) < 2 or len(set(self.labels)) < len(self.labels) or not all(self.labels):
            raise InputError(f"labels={self.labels}: give at least two labels, all different and none of them empty.")

    def lesson(self, model: LanguageModel, example: Example) -> LabelLesson:
        """Tokens of the input, cut at the front where it is too long, and of all labels.

        Raises:
            InputError: the input is empty, the target is none of the labels, or the model cannot read the labels.
        """
        if example.target not in self.labels:
            raise InputError(
                f"the example {example.id} has the target {example.target!r}; give one of {', '.join(self.labels)}."
            )
        given = model.encode(example.input)
        if not given:
            raise InputError(f"the example {example.id} has an empty input; there is nothing to classify.")
        labels = tuple(tuple(model.encode(label)) for label in self.labels)
        room = model.context - 1 - max(map(len, labels))
        if room < 1 or len(set(labels)) < len(labels) or not all(labels):
            raise InputError(
                f"labels={self.labels}: as tokens of {model.name!r} they are equal, empty, or longer than its context "
                f"of {model.context}; give other labels."
            )
        right = self.labels.index(example.target)
        ids = (model.start, *given[-room:], *labels[right])
        return LabelLesson(ids=ids, learnt=1, bytes=1, labels=labels, right=right)

    def losses(self, reader: Reader, hidden: Tensor, batch: Batch, lessons: Sequence[LabelLesson]) -> Tensor:
        """Negative log of the right label's share in nats, `(lessons,)`."""
        import torch

        ends = iter(accumulate(batch.lengths))
        rows: list[Tensor] = []
        for lesson in lessons:
            end_of = dict(zip(lesson.sequences, ends, strict=False))
            for label in lesson.labels:
                end = end_of[lesson.given + label[:-1]]
                rows.append(torch.arange(end - len(label), end))
        tokens = [token for lesson in lessons for label in lesson.labels for token in label]
        nats = token_losses(
            reader, hidden[torch.cat(rows).to(hidden.device)], torch.tensor(tokens, device=hidden.device)
        )
        each = torch.stack([part.sum() for part in nats.split([len(part) for part in rows])])
        shares = (-each.view(len(lessons), -1)).log_softmax(1)
        return -shares[range(len(lessons)), [lesson.right for lesson in lessons]]
