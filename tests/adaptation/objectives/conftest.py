"""The check that every objective has to pass: in a bank's packed pass it equals a plain computation, slot by slot."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch

from whet.adaptation import AdapterBank, LoraConfig, Objective
from whet.adaptation.objectives.base import read_lessons
from whet.models import LanguageModel
from whet.types import Example

Naive = Callable[[Example], torch.Tensor]


def random_bank(model: LanguageModel, slots: int, *, seed: int = 0, form: LoraConfig | None = None) -> AdapterBank:
    """A bank of adapters that each change the model in another way."""
    bank = AdapterBank(model.module, form or LoraConfig(r=2), slots=slots)
    generator = torch.Generator().manual_seed(seed)
    for slot in range(slots):
        shapes = bank.bound.layout.shapes.items()
        bank.load(slot, {name: torch.randn(shape, generator=generator) * 0.1 for name, shape in shapes})
    return bank


def check(
    model: LanguageModel,
    objective: Objective,
    examples: Sequence[Example],
    naive: Naive,
    *,
    form: LoraConfig | None = None,
) -> list[float]:
    """Compare losses and gradients of a packed pass, one slot an example, with those of `naive` for each slot alone."""
    bank = random_bank(model, len(examples), form=form)
    lessons = [objective.lesson(model, example) for example in examples]
    wanted, found = [], []
    with bank.attached():
        for slot, example in enumerate(examples):
            bank.route([slot], [1], learn=True)
            loss = naive(example)
            if loss.requires_grad:
                loss.backward()
            wanted.append((loss.item(), bank.gradient(0)))
        for slots in ([0], list(range(len(examples))), list(reversed(range(len(examples))))):
            chosen = [lessons[slot] for slot in slots]
            batch = read_lessons(model.reader, chosen)
            bank.route(slots, batch.rows, learn=True)
            losses = objective.losses(model.reader, model.reader.hidden(batch), batch, chosen)
            losses.sum().backward()
            found += [(slot, losses[place].item(), bank.gradient(place)) for place, slot in enumerate(slots)]
    for slot, loss, gradient in found:
        assert loss == pytest.approx(wanted[slot][0], rel=1e-4, abs=1e-6)
        assert (gradient - wanted[slot][1]).norm() <= 1e-3 * wanted[slot][1].norm()
    return [loss for loss, _ in wanted]


@pytest.fixture
def equals_naive() -> Callable[..., list[float]]:
    return check


@pytest.fixture
def make_bank() -> Callable[..., AdapterBank]:
    return random_bank


@pytest.fixture(params=[None, 1000], ids=["at once", "in stretches"])
def stretches(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """All logits at once, and a few rows of them at a time."""
    if request.param:
        monkeypatch.setattr("whet.adaptation.objectives.stretches._LOGITS_AT_ONCE", request.param)
