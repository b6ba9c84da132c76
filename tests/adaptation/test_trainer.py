from __future__ import annotations

import pytest
import torch

from whet.adaptation import LoraAdapter, LoraConfig, TrainConfig, Trainer
from whet.errors import InputError
from whet.models import LanguageModel
from whet.types import Example

EXAMPLE = Example(target="many words that can be learnt by heart")


def run(model: LanguageModel, parts: list[int]) -> tuple[LoraAdapter, Trainer]:
    adapter = LoraAdapter.fresh(model, LoraConfig(r=2), seed=5)
    trainer = Trainer(model, adapter, TrainConfig(lr=0.02))
    for n in parts:
        assert trainer.run([EXAMPLE] * n) == n
    return adapter, trainer


def test_learns(tiny_model: LanguageModel) -> None:
    _, trainer = run(tiny_model, [12])
    assert trainer.losses[-1] < 0.9 * trainer.losses[0]
    assert trainer.tokens == 12 * (1 + len(tiny_model.encode(EXAMPLE.text)))


def test_two_runs_equal_one_and_the_same_seed_the_same_weights(tiny_llama: LanguageModel) -> None:
    (one, _), (two, _) = run(tiny_llama, [5]), run(tiny_llama, [2, 3])
    assert all(torch.equal(a, b) for a, b in zip(one.parameters, two.parameters, strict=True))


def test_stops_when_told(tiny_llama: LanguageModel) -> None:
    adapter = LoraAdapter.fresh(tiny_llama, LoraConfig(), seed=0)
    trainer = Trainer(tiny_llama, adapter, TrainConfig())
    assert trainer.run([EXAMPLE] * 9, stop=lambda steps: steps >= 4) == 4
    assert len(trainer.losses) == 4
    assert trainer.run([EXAMPLE], stop=lambda _: True) == 0


@pytest.mark.parametrize("wrong", [{"lr": 0.0}, {"lr": float("inf")}, {"objective": "some"}])
def test_config_refuses(wrong) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        TrainConfig(**wrong)
