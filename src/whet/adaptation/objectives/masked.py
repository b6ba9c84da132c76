"""Masked language modelling: tokens are hidden, and predicted from what is on both sides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from whet.adaptation.objectives.base import Lesson
from whet.adaptation.objectives.lengths import check_too_long, even_stretches, refused
from whet.adaptation.objectives.next_token import lesson_means, token_losses
from whet.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from whet.models import LanguageModel
    from whet.models.packing import Batch, Reader
    from whet.types import Example


@dataclass(frozen=True, kw_only=True)
class MaskedLesson(Lesson):
    """A text with some of its tokens replaced.

    Attributes:
        ids: as the model reads them, special tokens and masks included.
        places: where the learnt tokens are in `ids`; of a lesson in stretches, its stretches say it.
        targets: what they were.
    """

    places: tuple[int, ...] = ()
    targets: tuple[int, ...] = ()

    @property
    def sequences(self) -> tuple[tuple[int, ...], ...]:
        """All of it: nothing is predicted from the left alone."""
        return tuple(part.ids for part in self.parts)


@dataclass(frozen=True)
class MaskedTokens:
    """Negative log-likelihood of hidden tokens, for encoders with a masked-language-model head.

    Of the tokens that are to be predicted, 80 % become the mask token, 10 % a token drawn from the vocabulary, and 10 %
    stay. Which ones they are depends on the seed and on the example alone. Adapters belong on the encoder: name its
    modules in `target_modules`, for the head is applied to the hidden tokens only.

    Source: Devlin et al. 2019, arXiv 1810.04805, §3.1.

    Attributes:
        share: share of the tokens to predict, at least one.
        seed: of the draws.
        too_long: what to do with an example longer than the context (`lengths.TOO_LONG`): `cut` reads its first part,
            `split` all of it in stretches of equal length, in one step, and `refuse` raises an error.
    """

    share: float = 0.15
    seed: int = 0
    too_long: str = "cut"

    def __post_init__(self) -> None:
        check_too_long(self.too_long)
        if not 0 < self.share < 1:
            raise InputError(f"share={self.share}: give a number between 0 and 1, such as 0.15.")
        if self.seed < 0:
            raise InputError(f"seed={self.seed}: a seed is not negative.")

    def lesson(self, model: LanguageModel, example: Example) -> MaskedLesson:
        """Tokens of input and target, some of them hidden.

        Raises:
            InputError: the example is empty, or too long and was to be refused, or the tokenizer has no mask token.
        """
        import numpy as np

        mask, first, last = (getattr(model.tokenizer, f"{name}_token_id") for name in ("mask", "cls", "sep"))
        if mask is None:
            raise InputError(f"the tokenizer of {model.name!r} has no mask token; use an encoder such as BERT.")
        head, tail = ([token] if token is not None else [] for token in (first, last))
        text, room = model.encode(example.text), model.context - len(head) - len(tail)
        if not text:
            raise InputError(f"the example {example.id} is empty; there is nothing to learn from it.")
        if len(text) > room and self.too_long == "refuse":
            raise refused(model, example, len(text) + len(head) + len(tail))
        draws = np.random.default_rng([self.seed, int(example.id, 16)])
        texts = even_stretches(text, room) if self.too_long == "split" else [text[:room]]
        parts = [self._part(model, part, head, tail, draws) for part in texts]
        if len(parts) == 1:
            return parts[0]
        return MaskedLesson(
            ids=tuple(token for part in parts for token in part.ids),
            learnt=sum(part.learnt for part in parts),
            bytes=sum(part.bytes for part in parts),
            stretches=tuple(parts),
        )

    def _part(
        self, model: LanguageModel, text: list[int], head: list[int], tail: list[int], draws: np.random.Generator
    ) -> MaskedLesson:
        """A stretch of text between `head` and `tail`, some of it hidden."""
        import numpy as np

        hidden = np.sort(draws.choice(len(text), max(1, round(self.share * len(text))), replace=False)).tolist()
        kinds = draws.random(len(hidden))
        others = draws.integers(len(model.tokenizer), size=len(hidden))
        read = list(text)
        for place, kind, other in zip(hidden, kinds, others, strict=True):
            if kind < 0.9:
                read[place] = model.tokenizer.mask_token_id if kind < 0.8 else int(other)
        targets = [text[place] for place in hidden]
        return MaskedLesson(
            ids=(*head, *read, *tail),
            learnt=len(hidden),
            bytes=max(1, len(model.decode(targets).encode())),
            places=tuple(len(head) + place for place in hidden),
            targets=tuple(targets),
        )

    def losses(self, reader: Reader, hidden: Tensor, batch: Batch, lessons: Sequence[MaskedLesson]) -> Tensor:
        """Mean over each lesson's hidden tokens, `(lessons,)`.

        Raises:
            InputError: the batch was padded, which an encoder sees.
        """
        import torch

        if not batch.packed and len(set(batch.lengths)) > 1:
            raise InputError(
                f"texts of {list(batch.lengths)} tokens cannot be read together by {reader.model.name!r}, whose "
                "attention would see the padding; train one slot at a time."
            )
        parts = [part for lesson in lessons for part in lesson.parts]
        begins = [end - len(part.ids) for end, part in zip(accumulate(batch.lengths), parts, strict=True)]
        rows = [begin + place for begin, part in zip(begins, parts, strict=True) for place in part.places]
        targets = torch.tensor([token for part in parts for token in part.targets], device=hidden.device)
        return lesson_means(token_losses(reader, hidden[rows], targets), lessons)
