"""Entropy against that of torch's own distributions over the full logits."""

from __future__ import annotations

import math

import pytest
import torch

from whet.adaptation import AdapterBank, LoraConfig, TrainConfig, Trainer
from whet.adaptation.objectives import Entropy
from whet.errors import InputError
from whet.models import LanguageModel
from whet.types import Example

PROMPTS = [Example(target=text) for text in ("a river carries stones", "def f(x):", "round")]


@pytest.mark.usefixtures("stretches")
def test_loss_and_gradient_equal_the_plain_ones(tiny_model: LanguageModel, equals_naive) -> None:
    def naive(example: Example) -> torch.Tensor:
        ids = [tiny_model.start, *tiny_model.encode(example.target)]
        logits = tiny_model.module(torch.tensor([ids[:-1]])).logits[0]
        return torch.distributions.Categorical(logits=logits).entropy().mean()

    losses = equals_naive(tiny_model, Entropy(), PROMPTS, naive)
    assert all(0 < loss < math.log(len(tiny_model.tokenizer)) for loss in losses)


def test_training_makes_the_model_surer(tiny_llama: LanguageModel) -> None:
    bank = AdapterBank(tiny_llama.module, LoraConfig(r=2))
    bank.reset(0, seed=0)
    trace = Trainer(tiny_llama, bank, TrainConfig(lr=0.01, objective="entropy")).run({0: PROMPTS[:1] * 8})[0]
    assert trace.losses[-1] < trace.losses[0]


def test_output_layers_that_are_no_plain_map(tiny_llama: LanguageModel, equals_naive, monkeypatch) -> None:
    """As where logits are capped or scaled after the output matrix."""
    monkeypatch.setattr(tiny_llama.module.lm_head, "forward", lambda x: 3 * torch.tanh(x @ head.weight.T))
    head = tiny_llama.module.lm_head
    model = LanguageModel(tiny_llama.module, tiny_llama.tokenizer, "capped")  # what the other remembers is not this
    assert model.reader.output is None

    def naive(example: Example) -> torch.Tensor:
        logits = model.module(torch.tensor([[model.start, *model.encode(example.target)][:-1]])).logits[0]
        return torch.distributions.Categorical(logits=logits).entropy().mean()

    equals_naive(model, Entropy(), PROMPTS, naive)


def test_an_empty_prompt_is_refused(tiny_llama: LanguageModel) -> None:
    with pytest.raises(InputError, match="empty target"):
        Entropy().lesson(tiny_llama, Example(target=""))
