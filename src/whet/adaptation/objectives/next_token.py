"""Raising the likelihood of an example's text, or of its target alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from whet.adaptation.objectives.base import Lesson, learnt_rows, learnt_tokens
from whet.adaptation.objectives.lengths import check_too_long, even_stretches, refused
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
        too_long: what to do with an example longer than the context (`lengths.TOO_LONG`). `cut` takes the last part of
            an input that would leave no room for the target, up to half the context, and the first part of a target
            longer than the room left. `split` learns every token once, in one step: the text in stretches of equal
            length, each after the start token; or, with `completion`, the target in stretches, each after the input
            as `cut` takes it. `refuse` raises an error.
    """

    completion: bool = False
    too_long: str = "cut"

    def __post_init__(self) -> None:
        check_too_long(self.too_long)

    def lesson(self, model: LanguageModel, example: Example) -> Lesson:
        """Tokens of an example.

        Raises:
            InputError: the example has no target, or is too long and was to be refused.
        """
        target = model.encode(example.target)
        if not target:
            raise InputError(f"the example {example.id} has an empty target; there is nothing to learn from it.")
        given = model.encode(example.input) if example.input else []
        parts = [
            Lesson((model.start, *before, *learnt), len(learnt), 1)
            for before, learnt in self._parts(model, example, given, target)
        ]
        learnt = sum(part.learnt for part in parts)
        if learnt == len(target) + (not self.completion) * len(given):
            text = example.target if self.completion else example.text
        else:
            text = model.decode(learnt_tokens(parts))
        ids = tuple(token for part in parts for token in part.ids)
        stretches = tuple(parts) if len(parts) > 1 else ()
        return Lesson(ids, learnt, max(1, len(text.encode())), stretches=stretches)

    def _parts(
        self, model: LanguageModel, example: Example, given: list[int], target: list[int]
    ) -> list[tuple[list[int], list[int]]]:
        """Tokens that are only read, and those that are learnt after them, of each stretch that fits the context."""
        room = model.context - 1
        long = len(given) + len(target) > room
        if long and self.too_long == "refuse":
            raise refused(model, example, 1 + len(given) + len(target))
        split = long and self.too_long == "split"
        if split and not self.completion:
            return [([], part) for part in even_stretches([*given, *target], room)]
        given = given[max(0, len(given) - max(room - len(target), room // 2)) :]
        left = room - len(given)
        if split:
            return [(given, part) for part in even_stretches(target, left)]
        return [(given, target[:left]) if self.completion else ([], [*given, *target[:left]])]

    def losses(self, reader: Reader, hidden: Tensor, batch: Batch, lessons: Sequence[Lesson]) -> Tensor:
        """Mean of each lesson's learnt tokens, `(lessons,)`."""
        return mean_losses(reader, hidden, batch, lessons)


def mean_losses(reader: Reader, hidden: Tensor, batch: Batch, lessons: Sequence[Lesson]) -> Tensor:
    """Mean negative log-likelihood in nats of each lesson's learnt tokens, `(lessons,)`."""
    import torch

    rows = learnt_rows(batch, lessons)
    targets = torch.tensor(learnt_tokens(lessons), device=rows.device)
    if len(rows) < len(hidden):
        hidden = hidden[rows]
    return lesson_means(token_losses(reader, hidden, targets), lessons)


def lesson_means(values: Tensor, lessons: Sequence[Lesson]) -> Tensor:
    """Mean over each lesson's learnt tokens of `values (learnt tokens,)`, lesson after lesson: `(lessons,)`."""
    from whet.adaptation.routing import Routing

    return Routing([lesson.learnt for lesson in lessons], values.device).mean(values)


def token_losses(reader: Reader, hidden: Tensor, targets: Tensor) -> Tensor:
    """Negative log-likelihood in nats, `(n,)`, of the tokens `targets (n,)` after the states `hidden (n, width)`."""
    import torch
    from torch.nn.functional import cross_entropy

    from whet.adaptation.kernels import frozen_cross_entropy
    from whet.adaptation.objectives.stretches import logits_of

    if reader.output is not None and hidden.dtype != torch.float64:
        return frozen_cross_entropy(hidden, *reader.output, targets)
    return cross_entropy(logits_of(reader, hidden), targets, reduction="none")
