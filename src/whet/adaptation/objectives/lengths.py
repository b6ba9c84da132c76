"""What becomes of an example that is longer than the context."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from whet.errors import InputError

if TYPE_CHECKING:
    from whet.models import LanguageModel
    from whet.types import Example

TOO_LONG = ("cut", "split", "refuse")
"""Read what there is room for; read all of it, in stretches that each fit; raise an error."""


def check_too_long(choice: str) -> None:
    """Raise an error unless this is one of `TOO_LONG`.

    Raises:
        InputError: it is none of them.
    """
    if choice not in TOO_LONG:
        raise InputError(f"too_long={choice!r}: give one of {', '.join(TOO_LONG)}.")


def refused(model: LanguageModel, example: Example, tokens: int) -> InputError:
    """The error for an example that would be read as this many tokens, more than the context."""
    return InputError(
        f"the example {example.id} has {tokens} tokens, more than the context of {model.name!r}, which is "
        f"{model.context}; leave it out, or give too_long='split' to learn all of it in stretches or 'cut' to learn "
        "the part that there is room for."
    )


def even_stretches(tokens: Sequence[int], room: int) -> list[list[int]]:
    """At least one token in as few stretches of at most `room` tokens as will do, their lengths at most 1 apart."""
    count = -(-len(tokens) // room)
    ends = [len(tokens) * number // count for number in range(count + 1)]
    return [list(tokens[begin:end]) for begin, end in pairwise(ends)]
