"""All likely continuations of a prompt, by depth-first search with one cache of keys and values.

Sampling finds what is likely again and again, and what is less likely by luck. The search goes through the tree of
continuations, the likeliest token first, and turns back wherever the probability of the path so far is not above the
bound: no continuation of it can be. Fewer than 1 / bound continuations are above, so the search ends soon for a model
that is sure of its answer.

Source: the sampling of Franzen et al. 2025, arXiv 2505.07859.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from whet.errors import InputError, ModelError

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import Cache

    from whet.models import LanguageModel


@dataclass(frozen=True)
class Continuation:
    """One way to go on.

    Attributes:
        ids: its tokens, the stop token at the end included.
        log_probability: of all of them after the prompt, in nats.
    """

    ids: tuple[int, ...]
    log_probability: float


@dataclass(frozen=True)
class Found:
    """What a search found.

    Attributes:
        continuations: the likeliest first; of equally likely ones the one with the lower ids.
        complete: whether these are all there are; False where a limit cut a path that was still likely enough.
        nodes: paths whose next token was looked at.
    """

    continuations: tuple[Continuation, ...]
    complete: bool
    nodes: int


class DepthFirst:
    """Searches and scores continuations, and reads no token twice that the last prompt or path had at the same place.

    What it remembers belongs to the weights that the model had meanwhile: make a new one for another adapter.

    Args:
        model: the language model.
    """

    def __init__(self, model: LanguageModel) -> None:
        self.model = model
        self._ids: list[int] = []
        self._cache: Cache | None = None

    def search(
        self,
        prompt: Sequence[int],
        *,
        stop: int,
        above: float,
        max_tokens: int,
        max_nodes: int = 10_000,
        guess: Sequence[int] = (),
        go_on: Callable[[], bool] = lambda: True,
    ) -> Found:
        """All continuations that end with `stop` for the first time and are likelier than a bound.

        Args:
            prompt: token ids, at least one.
            stop: the token that ends a continuation.
            above: the bound, a probability.
            max_tokens: the most tokens of a continuation, `stop` included; the context of the model limits it too.
            max_nodes: the most paths to look at.
            guess: what the answer may well be. It is read in one pass, which saves one pass for each of its tokens that
                the search comes through; what is found does not depend on it.
            go_on: asked before each pass; the search ends where it says no.

        Raises:
            InputError: the prompt is empty or longer than the context, the bound is not between 0 and 1, or a limit is
                not positive.
            ModelError: the logits of the model are not numbers.
        """
        if not 0 < above < 1:
            raise InputError(f"above={above}: give a probability between 0 and 1, such as 0.1.")
        if min(max_tokens, max_nodes) < 1:
            raise InputError(f"max_tokens={max_tokens}, max_nodes={max_nodes}: give limits of at least 1.")
        self._check_prompt(prompt)
        room = min(max_tokens, self.model.context - len(prompt) + 1)  # the last token is never read
        ahead = list(guess[: room - 1])
        known = self._read([*prompt, *ahead], keep=len(ahead) + 1) if ahead and go_on() else None
        bound = math.log(above)
        found: list[Continuation] = []
        waiting: list[tuple[list[int], float]] = [([], 0.0)]
        complete, nodes = True, 0
        while waiting and nodes < max_nodes and go_on():
            path, total = waiting.pop()
            nodes += 1
            if known is not None and path == ahead[: len(path)]:
                logits = known[len(path)]
            else:
                logits = self._read([*prompt, *path], keep=1)[0]
            ways = [(token, total + each) for token, each in _likely(logits, bound - total)]
            found += [Continuation((*path, token), value) for token, value in ways if token == stop]
            onward = [([*path, token], value) for token, value in ways if token != stop]
            if len(path) + 1 < room:
                waiting += reversed(onward)
            elif onward:
                complete = False
        found.sort(key=lambda one: (-one.log_probability, one.ids))
        return Found(tuple(found), complete and not waiting, nodes)

    def log_probability(self, prompt: Sequence[int], ids: Sequence[int]) -> float:
        """Log probability in nats of tokens after a prompt.

        Raises:
            InputError: the prompt or the tokens are empty, or longer than the context together.
            ModelError: the logits of the model are not numbers.
        """
        import torch

        self._check_prompt(prompt)
        if not ids or len(prompt) + len(ids) - 1 > self.model.context:
            raise InputError(
                f"{len(ids)} tokens after a prompt of {len(prompt)} cannot be scored: give at least one, and no more "
                f"than the context of {self.model.context} has room for."
            )
        logits = self._read([*prompt, *ids[:-1]], keep=len(ids))
        picked = logits.double().log_softmax(-1)[torch.arange(len(ids)), torch.tensor(ids)]
        return float(picked.sum())

    def _check_prompt(self, prompt: Sequence[int]) -> None:
        if not 1 <= len(prompt) <= self.model.context:
            raise InputError(
                f"the prompt has {len(prompt)} tokens; give at least one, and no more than the context of "
                f"{self.model.context} that {self.model.name!r} has."
            )

    def _read(self, ids: list[int], *, keep: int) -> Tensor:
        """Logits `(keep, V)` on the CPU of the token after each of the last `keep` tokens of `ids`."""
        import torch

        self._turn_back(min(_common(self._ids, ids), len(ids) - keep))
        unread = torch.tensor([ids[len(self._ids) :]], device=self.model.device)
        with torch.inference_mode():
            output = self.model.module(unread, past_key_values=self._cache, use_cache=True, logits_to_keep=keep)
        self._ids, self._cache = list(ids), output.past_key_values
        logits: Tensor = output.logits[0]
        if logits.isnan().any():
            self._ids, self._cache = [], None
            raise ModelError(
                f"the model {self.model.name!r} gives logits that are not numbers after {len(ids)} tokens; its "
                "weights, or those of the adapter on it, have diverged: train with a lower learning rate."
            )
        return logits.cpu()

    def _turn_back(self, length: int) -> None:
        """Forget all but the first tokens, or all where the cache cannot be cut exactly, as with sliding windows."""
        from transformers.cache_utils import DynamicLayer

        if length < len(self._ids) and self._cache is not None:
            if length and all(type(layer) is DynamicLayer for layer in self._cache.layers):
                self._cache.crop(length - len(self._ids))  # negative: virtual tokens at the front are not counted
                del self._ids[length:]
            else:
                self._ids, self._cache = [], None


def _likely(logits: Tensor, bound: float) -> list[tuple[int, float]]:
    """The tokens whose log probability by logits `(V,)` is above a bound, with it, the likeliest first."""
    values = logits.double().log_softmax(-1)
    tokens = (values > bound).nonzero()[:, 0]
    values, places = values[tokens].sort(descending=True, stable=True)
    return list(zip(tokens[places].tolist(), values.tolist(), strict=True))


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many first tokens are the same."""
    for place, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return place
    return min(len(one), len(other))
