"""How likely a model finds a text: nats of each token, and bits per byte."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from whet.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from whet.models import LanguageModel

_TOKENS_A_PASS = 4096  # bounds the memory of the logits when several windows are read in one pass


@dataclass(frozen=True)
class Score:
    """The likelihood of a text.

    Attributes:
        nats: negative log-likelihood of all its tokens.
        tokens: how many they are.
        bytes: length of the text in UTF-8.
    """

    nats: float
    tokens: int
    bytes: int

    @property
    def bits_per_byte(self) -> float:
        """Bits that the model needs for a byte of the text; comparable between models with different tokenizers."""
        return self.nats / math.log(2) / self.bytes


@dataclass(frozen=True)
class Window:
    """A stretch of a token sequence: `begin … end` is read, and the tokens from `first` on are scored."""

    begin: int
    first: int
    end: int


def score_text(model: LanguageModel, text: str, *, given: str = "") -> Score:
    """Score `text` after `given`.

    The two are encoded apart: the tokens that are scored are then the same whatever is given, so that scores after
    different prompts differ by what the model knows and not by how the border was cut into tokens.

    Raises:
        InputError: the text is empty.
    """
    if not text:
        raise InputError("the text to score is empty; bits per byte need at least one byte.")
    nats = token_nats(model, model.encode(text), given=model.encode(given))
    return Score(nats=nats.double().sum().item(), tokens=len(nats), bytes=len(text.encode()))


def token_nats(model: LanguageModel, ids: Sequence[int], *, given: Sequence[int] = ()) -> Tensor:
    """Negative log-likelihood in nats, `(len(ids),)` float32 on the CPU, of each token of `ids` after `given`.

    Every pass reads the model's start token and at most `context - 1` tokens after it. A longer sequence is read in
    windows that overlap by at least half, so that each token sees at least half a context where there is that much.
    Of a `given` that leaves too little room for `ids`, the last part is kept: what fits beside them, and half a
    context at least.

    Raises:
        InputError: there are no ids.
    """
    import torch
    from torch.nn.functional import cross_entropy

    if not ids:
        raise InputError("there are no token ids to score; give at least one.")
    context = model.context
    kept = min(len(given), max(context - len(ids), context // 2))
    sequence = [*given[len(given) - kept :], *ids]
    windows = plan_windows(kept, len(ids), context)
    together = max(1, _TOKENS_A_PASS // context)
    parts: list[Tensor] = []
    with torch.inference_mode():
        for i in range(0, len(windows), together):
            batch = windows[i : i + together]
            rows = [[model.start, *sequence[window.begin : window.end - 1]] for window in batch]
            logits = model.module(
                torch.tensor(rows, device=model.device),
                logits_to_keep=max(window.end - window.first for window in batch),
                use_cache=False,
            ).logits
            for window, row in zip(batch, logits, strict=True):
                target = torch.tensor(sequence[window.first : window.end], device=row.device)
                parts.append(cross_entropy(row[-len(target) :].float(), target, reduction="none").cpu())
    return torch.cat(parts)


def plan_windows(given: int, scored: int, context: int) -> list[Window]:
    """Cut `given + scored` tokens into windows that score each of the last `scored` once.

    The first window is as long as the sequence and the context allow; each later one scores the next half context,
    the last one what is left, and all of them are `context` long, so that they can be read in one batch.

    Args:
        given: tokens that are only read; fewer than `context`.
        scored: tokens to score after them, at least 1.
        context: length of a window, at least 2. The token at `begin` is predicted from the start token alone, so a
            window of this length is a pass of this length.
    """
    total = given + scored
    end = min(context, total)
    windows = [Window(0, given, end)]
    while end < total:
        first, end = end, min(end + context // 2, total)
        windows.append(Window(end - context, first, end))
    return windows
