"""Reading the same texts with the base model, or with several slots of a bank in one pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING

from whet.adaptation.objectives.base import Lesson, learnt_rows, read_lessons
from whet.adaptation.objectives.next_token import token_losses

if TYPE_CHECKING:
    from torch import Tensor

    from whet.adaptation.bank import AdapterBank
    from whet.models import LanguageModel

_TOKENS_A_PASS = 2048  # as in training
_PROMPT_TOKENS = 256  # enough to be sure of a gain of a few per cent
_TAIL = 64  # positions whose whole distributions are kept; of a large vocabulary they take much room


@dataclass(frozen=True)
class Reading:
    """What was found in one text.

    Attributes:
        nats: negative log-likelihood of each learnt token.
        tail: log-probabilities at the last positions, `(at most 64, V)`; only of the first text that was read.
    """

    nats: list[float]
    tail: Tensor | None = None


def prompt_lesson(model: LanguageModel, prompt: str) -> Lesson | None:
    """The last tokens of a prompt after the start token, all of them to be predicted; None if there are none."""
    most = min(_PROMPT_TOKENS, model.context)
    ids = model.encode(prompt)[-most:]
    return Lesson((model.start, *ids), len(ids), max(1, len(model.decode(ids).encode()))) if ids else None


def mean_nats(readings: Sequence[Reading]) -> float:
    """Mean loss of all tokens of these texts."""
    return fmean(nats for reading in readings for nats in reading.nats)


def divergence(base: Reading, adapted: Reading) -> float:
    """Mean KL divergence in nats of the adapted from the base model's distributions where both readings have them."""
    import torch

    assert base.tail is not None
    assert adapted.tail is not None
    return torch.nn.functional.kl_div(adapted.tail, base.tail, log_target=True, reduction="batchmean").item()


def read_base(model: LanguageModel, lessons: Sequence[Lesson], *, tail: bool = False) -> list[Reading]:
    """Read lessons with the base model; `tail` keeps the last distributions of the first."""
    import torch

    found: list[Reading] = []
    with torch.inference_mode():
        for part in _parts(lessons, _TOKENS_A_PASS):
            found += _read(model, part, 1, tail and not found)[0]
    return found


def read_slots(
    model: LanguageModel, bank: AdapterBank, slots: Sequence[int], lessons: Sequence[Lesson], *, tail: bool = False
) -> list[list[Reading]]:
    """Read lessons with each of these slots: for each slot what `read_base` returns."""
    import torch

    found: list[list[Reading]] = [[] for _ in slots]
    with bank.attached(), torch.inference_mode():
        for part in _parts(lessons, _TOKENS_A_PASS // len(slots)):
            batch = read_lessons(model.reader, list(part) * len(slots))
            rows = [sum(batch.rows[i : i + len(part)]) for i in range(0, len(batch.rows), len(part))]
            bank.route(slots, rows)
            for mine, more in zip(found, _read(model, part, len(slots), tail and not found[0]), strict=True):
                mine += more
    return found


def _read(model: LanguageModel, lessons: Sequence[Lesson], times: int, tail: bool) -> list[list[Reading]]:
    """Read the lessons so many times over in one pass, as the bank is routed."""
    import torch

    reader, every = model.reader, list(lessons) * times
    batch = read_lessons(reader, every)
    predicting = reader.hidden(batch)[learnt_rows(batch, every)]
    targets = torch.tensor([token for lesson in every for token in lesson.ids[-lesson.learnt :]], device=model.device)
    learnt = [lesson.learnt for lesson in every]
    readings = [Reading(nats.tolist()) for nats in token_losses(reader, predicting, targets).split(learnt)]
    if tail:
        for i, states in enumerate(predicting.split(learnt)):
            if i % len(lessons) == 0:
                logs = torch.log_softmax(reader.logits(states[-_TAIL:]).float(), dim=1)
                readings[i] = replace(readings[i], tail=logs)
    return [readings[i : i + len(lessons)] for i in range(0, len(every), len(lessons))]


def _parts(lessons: Sequence[Lesson], most: int) -> Iterator[list[Lesson]]:
    """Split lessons, in order, into parts of at most so many tokens where a lesson alone has no more."""
    part: list[Lesson] = []
    tokens = 0
    for lesson in lessons:
        if part and tokens + len(lesson.ids) > most:
            yield part
            part, tokens = [], 0
        part.append(lesson)
        tokens += len(lesson.ids)
    if part:
        yield part
