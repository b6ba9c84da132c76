"""What an adapter is trained to do with an example: raise the likelihood of its text, or of its target alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from whet.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from whet.models import LanguageModel
    from whet.types import Example

Objective = Literal["all", "completion"]


@dataclass(frozen=True)
class Lesson:
    """An example as the model reads it.

    Attributes:
        ids: `(1, tokens)` the start token, the input and the target, cut at the context.
        learnt: how many of the last tokens are learnt.
        bytes: UTF-8 bytes of the learnt tokens.
    """

    ids: Tensor
    learnt: int
    bytes: int


def lesson(model: LanguageModel, example: Example, objective: Objective) -> Lesson:
    """Tokens of an example, and which of them are learnt: all, or with `completion` those of the target.

    An input that would leave no room for the target keeps its last part, up to half the context; a target longer
    than the room left keeps its first part.

    Raises:
        InputError: the example has no target.
    """
    import torch

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
    return Lesson(torch.tensor([ids], device=model.device), learnt, max(1, len(text.encode())))


def lesson_nats(model: LanguageModel, part: Lesson) -> Tensor:
    """Mean negative log-likelihood (nats per token, scalar) of the learnt tokens, ready for `backward`."""
    from torch.nn.functional import cross_entropy

    logits = model.module(part.ids[:, :-1], logits_to_keep=part.learnt, use_cache=False).logits[0]
    nats: Tensor = cross_entropy(logits.float(), part.ids[0, -part.learnt :])
    return nats


def bits_per_byte(part: Lesson, nats_per_token: float) -> float:
    """The loss of a lesson in bits for each byte of what is learnt."""
    return nats_per_token * part.learnt / math.log(2) / part.bytes
