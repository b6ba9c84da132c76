"""Text infilling for causal models: stretches of a text are taken out, and learnt after the rest of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from whet.adaptation.objectives.base import Lesson
from whet.adaptation.objectives.lengths import check_too_long, even_stretches, refused
from whet.adaptation.objectives.next_token import mean_losses
from whet.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from whet.models import LanguageModel
    from whet.models.packing import Batch, Reader
    from whet.types import Example


@dataclass(frozen=True)
class SpanDenoising:
    """Negative log-likelihood of spans that were taken out of a text, given the rest.

    The model reads the text with `<mask:0>`, `<mask:1>`, … in place of the spans, and then learns each marker with its
    span, and one marker more as the end. The markers are plain text, so any tokenizer will do. Where the spans are
    depends on the seed and on the example alone.

    Source: the spans of Raffel et al. 2020, arXiv 1910.10683, §3.1.4; spans after the text for a causal model as in
    Donahue et al. 2020, arXiv 2005.05339.

    Attributes:
        share: share of the tokens to take out, at least one.
        span: mean length of a span in tokens.
        seed: of the draws.
        too_long: what to do with an example that does not fit the context with its markers (`lengths.TOO_LONG`): `cut`
            takes its first part, `split` all of it in stretches of equal length, in one step, and `refuse` raises an
            error.
    """

    share: float = 0.15
    span: float = 3.0
    seed: int = 0
    too_long: str = "cut"

    def __post_init__(self) -> None:
        check_too_long(self.too_long)
        if not 0 < self.share < 1:
            raise InputError(f"share={self.share}: give a number between 0 and 1, such as 0.15.")
        if not self.span >= 1:
            raise InputError(f"span={self.span}: the mean length of a span is at least 1 token.")
        if self.seed < 0:
            raise InputError(f"seed={self.seed}: a seed is not negative.")

    def lesson(self, model: LanguageModel, example: Example) -> Lesson:
        """Tokens of input and target without the spans, then the spans.

        Raises:
            InputError: the example is empty, or too long and was to be refused, or the model's context has no room for
                the markers.
        """
        text = model.encode(example.text)
        if not text:
            raise InputError(f"the example {example.id} is empty; there is nothing to learn from it.")
        whole = self._infilling(model, example, text)
        if len(whole.ids) <= model.context:
            return whole
        if self.too_long == "refuse":
            raise refused(model, example, len(whole.ids))
        return self._split(model, example, text) if self.too_long == "split" else self._cut(model, example, text)

    def _cut(self, model: LanguageModel, example: Example, text: list[int]) -> Lesson:
        """The first part that fits."""
        text = text[: model.context]
        while text:
            lesson = self._infilling(model, example, text)
            over = len(lesson.ids) - model.context
            if over <= 0:
                return lesson
            # of what is too much, the text's share: a shorter text has fewer markers
            text = text[: len(text) - max(1, over * len(text) // len(lesson.ids))]
        raise _no_room(model)

    def _split(self, model: LanguageModel, example: Example, text: list[int]) -> Lesson:
        """As few stretches as will fit."""
        room = model.context - 1
        while room:
            parts = [self._infilling(model, example, part) for part in even_stretches(text, room)]
            if max(len(part.ids) for part in parts) <= model.context:
                ids = tuple(token for part in parts for token in part.ids)
                learnt, size = sum(part.learnt for part in parts), sum(part.bytes for part in parts)
                return Lesson(ids, learnt, size, stretches=tuple(parts))
            room = min(room - 1, -(-len(text) // (len(parts) + 1)))
        raise _no_room(model)

    def _infilling(self, model: LanguageModel, example: Example, text: list[int]) -> Lesson:
        """A lesson of a text, however long it comes out."""
        import numpy as np

        draws = np.random.default_rng([self.seed, int(example.id, 16)])
        given, learnt = _taken_out(model, text, self._spans(len(text), draws))
        return Lesson((model.start, *given, *learnt), len(learnt), len(model.decode(learnt).encode()))

    def losses(self, reader: Reader, hidden: Tensor, batch: Batch, lessons: Sequence[Lesson]) -> Tensor:
        """Mean over each lesson's spans and markers, `(lessons,)`."""
        return mean_losses(reader, hidden, batch, lessons)

    def _spans(self, length: int, draws: np.random.Generator) -> list[tuple[int, int]]:
        """Begin and end of each span, in order, at least one token apart."""
        taken = max(1, round(self.share * length))
        count = min(max(1, round(taken / self.span)), length - taken + 1)
        lengths = _parts(taken, count, draws)
        gaps = _parts(length - taken + 2, count + 1, draws)  # the first and the last may be empty: less one each
        spans, begin = [], -1
        for gap, size in zip(gaps, lengths, strict=False):
            begin += gap
            spans.append((begin, begin + size))
            begin += size
        return spans


def _no_room(model: LanguageModel) -> InputError:
    return InputError(f"the context of {model.name!r}, {model.context} tokens, is too short for a text with markers.")


def _parts(total: int, count: int, draws: np.random.Generator) -> list[int]:
    """A number as a sum of `count` positive numbers, all sums equally likely."""
    cuts = sorted(draws.choice(total - 1, count - 1, replace=False) + 1)
    return [int(end - begin) for begin, end in zip([0, *cuts], [*cuts, total], strict=True)]


def _taken_out(model: LanguageModel, text: list[int], spans: Sequence[tuple[int, int]]) -> tuple[list[int], list[int]]:
    """The text with markers for the spans, and the markers with the spans."""
    given: list[int] = []
    learnt: list[int] = []
    done = 0
    for number, (begin, end) in enumerate(spans):
        marker = model.encode(f"<mask:{number}>")
        given += [*text[done:begin], *marker]
        learnt += [*marker, *text[begin:end]]
        done = end
    return given + text[done:], learnt + model.encode(f"<mask:{len(spans)}>")
