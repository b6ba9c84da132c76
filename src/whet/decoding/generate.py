"""Continuing a prompt token by token with a cache of keys and values: greedy, temperature, top-p, stop strings."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from whet.errors import InputError, ModelError

if TYPE_CHECKING:
    from torch import Generator, Tensor
    from transformers import Cache

    from whet.adaptation import AdapterBank
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
    return _generate(model, [_Continuation(model, prompt, sampling, on_text)], None)[0]


def generate_many(
    model: LanguageModel, prompts: Sequence[str], sampling: Sampling, *, bank: AdapterBank, slots: Sequence[int]
) -> list[Generated]:
    """Continue many prompts in the same passes, each with the adapter in its slot; see `generate`.

    Each text is that of `generate` alone with that adapter, up to rounding: where two tokens are equally likely to
    within it, another may be taken. Prompts of one slot are given slot after slot. A text that is finished costs
    nothing more.

    Args:
        prompts: what is continued.
        sampling: the same for all, seed included.
        bank: the adapters.
        slots: for each prompt a different slot.

    Raises:
        InputError: there are not as many slots as prompts, or one comes twice.
        ModelError: the logits of the model are not numbers.
    """
    if len(slots) != len(prompts) or not prompts:
        raise InputError(f"{len(prompts)} prompts and {len(slots)} slots: give as many of both, and at least one.")
    continuations = [_Continuation(model, prompt, sampling, None) for prompt in prompts]

    def route(rows: Sequence[int]) -> None:
        bank.route([slots[row] for row in rows], [1] * len(rows))

    with bank.attached():
        return _generate(model, continuations, route)


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


class _Continuation:
    """A prompt as it is read, and the text that comes after it as far as it is known."""

    def __init__(
        self, model: LanguageModel, prompt: str, sampling: Sampling, on_text: Callable[[str], None] | None
    ) -> None:
        import torch

        ids = model.encode(prompt)
        room = max(model.context - sampling.max_tokens, model.context // 2)
        self.read = [model.start, *ids[max(0, len(ids) - (room - 1)) :]]
        self.truncated = len(self.read) <= len(ids)
        self.drawn: list[int] = []
        self.finished: Finished | None = None
        self._model, self._sampling, self._on_text = model, sampling, on_text
        # the last token drawn is never read
        self._most = min(sampling.max_tokens, model.context - len(self.read) + 1)
        self._rng = torch.Generator().manual_seed(sampling.seed)
        self._anchor = _anchor(model, self.read)
        self._before = len(model.decode(self._anchor))
        self._text, self._sent = "", 0

    def draw(self, logits: Tensor) -> int:
        """Draw the next token from its logits `(V,)`, and see whether the text ends with it."""
        if logits.isnan().any():
            raise ModelError(
                f"the model {self._model.name!r} gives logits that are not numbers after {len(self.drawn)} tokens; "
                "its weights, or those of the adapter on it, have diverged: train with a lower learning rate."
            )
        token = _draw(logits, self._sampling, self._rng)
        self.drawn.append(token)
        if token == self._model.end:
            self.finished = "end"
        else:
            self._read_on()
            if self.finished is None and len(self.drawn) == self._most:
                self.finished = "length"
        if self.finished is not None and self._on_text is not None:
            _send(self._on_text, self._text, self._sent, len(self._text))
        return token

    def result(self) -> Generated:
        assert self.finished is not None
        return Generated(self._text, len(self.drawn), len(self.read), self.finished, self.truncated)

    def _read_on(self) -> None:
        # some decoders garble a run of bytes until its last character is whole: until then, the text before it stands
        decoded = self._model.decode(self._anchor + self.drawn)[self._before :].rstrip(_UNFINISHED)
        self._text = max(self._text, decoded, key=len)
        ends = [place for stop in self._sampling.stop if (place := self._text.find(stop)) >= 0]
        if ends:
            self._text, self.finished = self._text[: min(ends)], "stop"
        elif self._on_text is not None:
            safe = len(self._text) - _open_stop(self._text, self._sampling.stop)
            self._sent = _send(self._on_text, self._text, self._sent, safe)


def _generate(
    model: LanguageModel, continuations: Sequence[_Continuation], route: Callable[[Sequence[int]], None] | None
) -> list[Generated]:
    """Draw a token for each unfinished text in one pass, until all are finished.

    Prompts are padded on the left, so that the new tokens stand side by side. `route` is told which texts the rows of
    the next pass are.
    """
    import torch

    rows = list(range(len(continuations)))
    longest = max(len(one.read) for one in continuations)
    padding = torch.tensor([longest - len(one.read) for one in continuations])
    unread = torch.tensor([[0] * (longest - len(one.read)) + one.read for one in continuations])
    cache: Cache | None = None
    length = 0
    while rows:
        if route is not None:
            route(rows)
        logits, cache = _next_logits(model, unread, length, padding, cache)
        length += unread.shape[1]
        tokens = [continuations[row].draw(each) for row, each in zip(rows, logits, strict=True)]
        going = [place for place, row in enumerate(rows) if continuations[row].finished is None]
        if len(going) < len(rows):
            rows, padding = [rows[place] for place in going], padding[going]
            if rows:
                cache.batch_select_indices(torch.tensor(going, device=model.device))
        unread = torch.tensor([[tokens[place]] for place in going])
    return [one.result() for one in continuations]


def _next_logits(
    model: LanguageModel, unread: Tensor, before: int, padding: Tensor, cache: Cache | None
) -> tuple[Tensor, Cache]:
    """Logits `(texts, V)` on the CPU of the token after `unread (texts, tokens)`.

    These follow `before` tokens in the cache; the first `padding (texts,)` tokens of each text are none of it.
    """
    import torch

    placed: dict[str, Tensor] = {}
    if padding.any():
        places = torch.arange(before + unread.shape[1]) - padding[:, None]
        placed = {
            "attention_mask": (places >= 0).long().to(model.device),
            "position_ids": places[:, before:].clamp(min=0).to(model.device),
        }
    with torch.inference_mode():
        output = model.module(
            unread.to(model.device), past_key_values=cache, use_cache=True, logits_to_keep=1, **placed
        )
    return output.logits[:, -1].float().cpu(), output.past_key_values


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
