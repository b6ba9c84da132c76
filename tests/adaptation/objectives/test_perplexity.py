"""Weighted log perplexity against the formula, over the full logits."""

from __future__ import annotations

import math

import pytest
import torch

from whet.adaptation import AdapterBank, LoraConfig, TrainConfig, Trainer
from whet.adaptation.objectives import NextToken, Perplexity
from whet.errors import InputError
from whet.models import LanguageModel
from whet.types import Example

PROMPTS = [Example(target=text) for text in ("a river carries stones", "def f(x):", "round and round")]


def log_perplexity(model: LanguageModel, example: Example) -> torch.Tensor:
    ids = torch.tensor([[model.start, *model.encode(example.target)]])
    return model.module(ids, labels=ids).loss


def test_loss_and_gradient_equal_the_plain_ones(tiny_model: LanguageModel, equals_naive) -> None:
    """With thresholds that all prompts are above, two of them, and none."""
    logs = equals_naive(tiny_model, NextToken(), PROMPTS, lambda prompt: log_perplexity(tiny_model, prompt))

    def naive_above(threshold: float):
        def naive(example: Example) -> torch.Tensor:
            log = log_perplexity(tiny_model, example)
            share = 0.3 * math.exp(log.item()) / threshold if math.exp(log.item()) > threshold else 0.0
            return share * log

        return naive

    for log, learnt in ((0.0, 3), (sum(sorted(logs)[:2]) / 2, 2), (max(logs) + 1, 0)):
        threshold = math.exp(log)
        losses = equals_naive(tiny_model, Perplexity(threshold, 0.3), PROMPTS, naive_above(threshold))
        assert sum(loss > 0 for loss in losses) == learnt


def test_a_prompt_below_the_threshold_changes_nothing(tiny_llama: LanguageModel) -> None:
    bank = AdapterBank(tiny_llama.module, LoraConfig(r=2), slots=2)
    for slot in (0, 1):
        bank.reset(slot, seed=slot)
    before = bank.weights.clone()
    trainer = Trainer(tiny_llama, bank, TrainConfig(), objective=Perplexity(threshold=1e6))
    assert trainer.run({0: PROMPTS[:2]})[0].losses == [0, 0]
    assert torch.equal(bank.weights, before)
    Trainer(tiny_llama, bank, TrainConfig(), objective=Perplexity(threshold=1.0)).run({1: PROMPTS})
    assert torch.equal(bank.weights[0], before[0])
    assert not torch.equal(bank.weights[1], before[1])


@pytest.mark.parametrize("wrong", [{"threshold": 0.0}, {"threshold": float("nan")}, {"scale": -1.0}])
def test_refuses(wrong: dict[str, float], tiny_llama: LanguageModel) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        Perplexity(**wrong)
    with pytest.raises(InputError, match="empty target"):
        Perplexity().lesson(tiny_llama, Example(target=""))
