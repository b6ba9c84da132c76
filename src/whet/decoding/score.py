"""How likely a model finds a text: nats of each token, and bits per byte."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from whet.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from whet.adaptation import AdapterBank
    from whet.adaptation.objectives import Lesson
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


def score_many(
    model: LanguageModel,
    texts: Sequence[str],
    *,
    given: Sequence[str] | None = None,
    bank: AdapterBank,
    slots: Sequence[int],
) -> list[Score]:
    """Score many texts in the same passes, each with the adapter in its slot; see `score_text`.

    Args:
        texts: what is scored.
        given: what comes before each; nothing unless told.
        bank: the adapters.
        slots: for each text a different slot.

    Raises:
        InputError: a text is empty, there are not as many slots as texts, or one comes twice.
    """
    import torch

    from whet.adaptation.objectives.base import learnt_rows, read_lessons
    from whet.adaptation.objectives.next_token import token_losses

    before = given if given is not None else [""] * len(texts)
    if not len(texts) == len(slots) == len(before) or len(set(slots)) != len(slots) or not all(texts):
        raise InputError(
            f"{len(texts)} texts, {len(before)} given, slots={list(slots)}: give texts that are not empty, and for "
            "each what is given and a slot of its own."
        )
    nats: dict[int, list[Tensor]] = {slot: [] for slot in slots}
    with bank.attached(), torch.inference_mode():
        parts = [  # an attached adapter may take some of the context
            (slot, part)
            for slot, text, ahead in zip(slots, texts, before, strict=True)
            for part in _window_lessons(model, model.encode(text), model.encode(ahead))
        ]
        for together in _passes(parts, alone=bank.bound.alone):
            lessons = [part for _, part in together]
            batch = read_lessons(model.reader, lessons)
            rows: dict[int, int] = {}
            for (slot, _), count in zip(together, batch.rows, strict=True):
                rows[slot] = rows.get(slot, 0) + count
            bank.route(list(rows), list(rows.values()))
            hidden = model.reader.hidden(batch)[learnt_rows(batch, lessons)]
            targets = torch.tensor([token for part in lessons for token in part.ids[-part.learnt :]])
            found = token_losses(model.reader, hidden, targets.to(model.device))
            for (slot, _), each in zip(together, found.split([part.learnt for part in lessons]), strict=True):
                nats[slot].append(each)
    return [
        Score(torch.cat(nats[slot]).double().sum().item(), sum(map(len, nats[slot])), len(text.encode()))
        for slot, text in zip(slots, texts, strict=True)
    ]


def _window_lessons(model: LanguageModel, ids: list[int], given: list[int]) -> list[Lesson]:
    """The windows in which a text is read, as lessons that learn what a window scores."""
    from whet.adaptation.objectives import Lesson

    context = model.context
    kept = min(len(given), max(context - len(ids), context // 2))
    sequence = [*given[len(given) - kept :], *ids]
    return [
        Lesson((model.start, *sequence[window.begin : window.end]), window.end - window.first, 1)
        for window in plan_windows(kept, len(ids), context)
    ]


def _passes(parts: Sequence[tuple[int, Lesson]], *, alone: bool) -> Iterator[list[tuple[int, Lesson]]]:
    """Split windows into passes of a bounded number of tokens or of one slot; those of one slot stay side by side."""
    together: list[tuple[int, Lesson]] = []
    tokens = 0
    for slot, part in parts:
        another = alone and together and together[-1][0] != slot
        if together and (another or tokens + len(part.ids) > _TOKENS_A_PASS):
            yield together
            together, tokens = [], 0
        together.append((slot, part))
        tokens += len(part.ids)
    yield together


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
