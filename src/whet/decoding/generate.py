"""Continuing a prompt token by token with a cache of keys and values: greedy, temperature, top-p, stop strings."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from whet.errors import InputError, ModelError

if TYPE_CHECKING:
    from torch import Generator, Tensor
    from transformers import Cache

    from whet.models import LanguageModel

Finished = Literal["stop", "length", "end"]
_UNFINISHED = "�"  # what a decoder puts for bytes that are not, or not yet, a character


@dataclass(frozen=True)
class Sampling:
    """How a text is generated.

    Attributes:
        max_tokens: the most tokens to draw.
        temperature: logits are divided by it; 0 takes the likeliest token each time (greedy).
        top_p: draw from the fewest likeliest tokens that have this share of the probability together
            (nucleus sampling, Holtzman et al. 2020, arXiv 1904.09751, §3.1); 1 draws from all.
        stop: the text ends before the first of these strings that it comes to contain.
        seed: of the draws.
    """

    max_tokens: int = 64
    temperature: float = 0.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        if self.max_tokens < 1:
            raise InputError(f"max_tokens={self.max_tokens}: give a number of at least 1.")
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise InputError(f"temperature={self.temperature}: give 0 (greedy) or a positive number, such as 0.8.")
        if not 0 < self.top_p <= 1:
            raise InputError(f"top_p={self.top_p}: give a share above 0 and up to 1.")
        if isinstance(self.stop, str) or not all(self.stop):
            raise InputError(f"stop={self.stop!r}: give a tuple of strings, none of them empty.")
        if not 0 <= self.seed < 2**63:
            raise InputError(f"seed={self.seed}: give a whole number from 0 to 2**63 - 1.")


@dataclass(frozen=True)
class Generated:
    """A generated continuation.

    Attributes:
        text: the continuation, without the stop string or end token that ended it, and without bytes at its end that
            make up no character.
        tokens: how many were drawn, those of a stop string and the end token among them.
        prompt_tokens: how many were read before, the start token among them.
        finished: `stop` for a stop string, `end` for the model's end token, `length` for max_tokens or a full context.
        truncated: the prompt was too long and only its last part was read.
    """

    text: str
    tokens: int
    prompt_tokens: int
    finished: Finished
    truncated: bool


def generate(
    model: LanguageModel, prompt: str, sampling: Sampling, *, on_text: Callable[[str], None] | None = None
) -> Generated:
    """Continue `prompt`; the same seed gives the same text.

    A prompt that leaves less than `max_tokens` of the context keeps its last part: what fits beside them, and half a
    context at least; generation then ends where the context is full. The start token always comes first.

    Args:
        on_text: called with each new piece of text as soon as it is certain to stay: whole characters that no stop
            string can take back. The pieces together are the text of the result.

    Raises:
        ModelError: the logits of the model are not numbers.
    """
    ids = model.encode(prompt)
    room = max(model.context - sampling.max_tokens, model.context // 2)
    read = [model.start, *ids[max(0, len(ids) - (room - 1)) :]]
    most = min(sampling.max_tokens, model.context - len(read) + 1)  # the last token drawn is never read
    anchor = _anchor(model, read)
    before = len(model.decode(anchor))
    drawn: list[int] = []
    text, sent = "", 0
    finished: Finished = "length"
    for token in _draws(model, read, sampling, most):
        drawn.append(token)
        if token == model.end:
            finished = "end"
            break
        # some decoders garble a run of bytes until its last character is whole: until then, the text before it stands
        text = max(text, model.decode(anchor + drawn)[before:].rstrip(_UNFINISHED), key=len)
        ends = [place for stop in sampling.stop if (place := text.find(stop)) >= 0]
        if ends:
            text, finished = text[: min(ends)], "stop"
            break
        if on_text is not None:
            sent = _send(on_text, text, sent, len(text) - _open_stop(text, sampling.stop))
    if on_text is not None:
        _send(on_text, text, sent, len(text))
    return Generated(text, len(drawn), len(read), finished, truncated=len(read) <= len(ids))


def token_probabilities(logits: Tensor, temperature: float, top_p: float) -> Tensor:
    """Probabilities `(V,)` in float64 from logits `(V,)` at a temperature above 0, cut to the nucleus of `top_p`.

    The nucleus is the smallest set of the likeliest tokens whose probability together is at least `top_p`; among
    equal ones the lower id goes first. What is left is scaled to sum to 1.
    """
    import torch

    logits = logits.double()
    probabilities = torch.softmax((logits - logits.max()) / temperature, dim=-1)  # no overflow at small temperatures
    if top_p == 1:
        return probabilities
    ordered, ids = probabilities.sort(descending=True, stable=True)
    missing = ordered.cumsum(0) - ordered >= top_p  # the set was complete before this token
    probabilities[ids[missing]] = 0
    return probabilities / probabilities.sum()


def _draws(model: LanguageModel, read: list[int], sampling: Sampling, most: int) -> Iterator[int]:
    """Draw up to `most` tokens after `read`, each after the ones before it."""
    import torch

    rng = torch.Generator().manual_seed(sampling.seed)
    cache: Cache | None = None
    unread = read
    for n in range(most):
        logits, cache = _next_logits(model, unread, cache)
        if logits.isnan().any():
            raise ModelError(
                f"the model {model.name!r} gives logits that are not numbers after {n} tokens; "
                "its weights, or those of the adapter on it, have diverged: train with a lower learning rate."
            )
        token = _draw(logits, sampling, rng)
        yield token
        unread = [token]


def _next_logits(model: LanguageModel, ids: list[int], cache: Cache | None) -> tuple[Tensor, Cache]:
    """Logits `(V,)` on the CPU of the token after `ids`, which follow what is in the cache; the cache with them in."""
    import torch

    with torch.inference_mode():
        output = model.module(
            torch.tensor([ids], device=model.device), past_key_values=cache, use_cache=True, logits_to_keep=1
        )
    return output.logits[0, -1].float().cpu(), output.past_key_values


def _draw(logits: Tensor, sampling: Sampling, rng: Generator) -> int:
    if sampling.temperature == 0:
        return int(logits.argmax())
    probabilities = token_probabilities(logits, sampling.temperature, sampling.top_p)
    return int(probabilities.multinomial(1, generator=rng))


def _anchor(model: LanguageModel, read: list[int]) -> list[int]:
    """The fewest last tokens, up to 4, that are whole characters: new tokens are decoded after them.

    Decoders drop the space of a first token, and some turn a whole run of bytes into replacement characters when it
    does not begin with a character.
    """
    tails = [read[-n:] for n in range(1, 5)]
    return next((tail for tail in tails if _UNFINISHED not in model.decode(tail)), tails[-1])


def _open_stop(text: str, stops: tuple[str, ...]) -> int:
    """Length of the longest end of `text` that a stop string begins with."""
    return max((n for stop in stops for n in range(1, len(stop)) if text.endswith(stop[:n])), default=0)


def _send(on_text: Callable[[str], None], text: str, sent: int, until: int) -> int:
    """Hand over `text[sent:until]` if there is any; returns how much has been sent."""
    if until <= sent:
        return sent
    on_text(text[sent:until])
    return until
