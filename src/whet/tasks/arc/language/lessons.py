"""What a language model learns from pairs of one rule: each output after the first, given all that came before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from whet.tasks.arc.language.serialise import Serialisation
from whet.tasks.arc.task import Pair


@dataclass(frozen=True)
class TokenLesson:
    """A sequence to learn from.

    Attributes:
        ids: its tokens.
        learnt: places of the tokens that are learnt, in order; none is the first of all.
    """

    ids: tuple[int, ...]
    learnt: tuple[int, ...]


def token_lesson(serialisation: Serialisation, pairs: Sequence[Pair]) -> TokenLesson:
    """At least one pair as a sequence; its outputs are learnt but for the first, of which nothing shows the rule.

    Of a lone pair the output is learnt. That all outputs are, and not the last alone, is from Akyürek et al. 2024,
    arXiv 2411.07279.
    """
    learnt: list[int] = []
    ids: list[int] = []
    for number, pair in enumerate(pairs):
        ids = serialisation.prompt(pairs[:number], pair.input)
        begin = len(ids)
        ids += serialisation.answer(pair.output)
        if number or len(pairs) == 1:
            learnt += range(begin, len(ids))
    return TokenLesson(tuple(ids), tuple(learnt))
