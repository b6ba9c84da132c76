"""Distillation against the divergence of full probability tables."""

from __future__ import annotations

import copy

import pytest
import torch

from whet.adaptation import AdapterBank, LoraConfig, TrainConfig, Trainer
from whet.adaptation.objectives import Distillation
from whet.errors import InputError
from whet.models import LanguageModel
from whet.types import Example

EXAMPLES = [Example(input="the river: ", target="stones"), Example(target="def f(x):"), Example("a b c", "of ")]


def ids_of(model: LanguageModel, example: Example) -> torch.Tensor:
    return torch.tensor([[model.start, *model.encode(example.input), *model.encode(example.target)][:-1]])


def other(model: LanguageModel, *, padded: int = 0) -> LanguageModel:
    """A model with the same tokenizer and other weights, whose tables may have room for more tokens."""
    module = copy.deepcopy(model.module)
    if padded:
        module.resize_token_embeddings(len(model.tokenizer) + padded, mean_resizing=False)
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for weight in module.parameters():
            weight += 0.05 * torch.randn(weight.shape, generator=generator)
    return LanguageModel(module, model.tokenizer, "other")


@pytest.mark.usefixtures("stretches")
@pytest.mark.parametrize(("temperature", "completion"), [(1.0, False), (2.5, True)])
def test_loss_and_gradient_equal_the_plain_ones(
    tiny_model: LanguageModel, equals_naive, make_bank, temperature: float, completion: bool
) -> None:
    """The teacher is the same model with an adapter."""
    bank = make_bank(tiny_model, 3, seed=7, form=LoraConfig(r=3))
    with bank.using(2), torch.no_grad():
        theirs = {
            example: (tiny_model.module(ids_of(tiny_model, example)).logits[0] / temperature).softmax(1)
            for example in EXAMPLES
        }

    def naive(example: Example) -> torch.Tensor:
        p, logits = theirs[example], tiny_model.module(ids_of(tiny_model, example)).logits[0]
        q = (logits / temperature).softmax(1)
        each = temperature**2 * (p * (p.log() - q.log())).sum(1)
        return each[-len(tiny_model.encode(example.target)) :].mean() if completion else each.mean()

    objective = Distillation(tiny_model, bank, 2, temperature=temperature, completion=completion)
    assert min(equals_naive(tiny_model, objective, EXAMPLES, naive)) > 0


@pytest.mark.parametrize("padded", [0, 5])
def test_another_model_can_be_the_teacher(tiny_llama: LanguageModel, equals_naive, padded: int) -> None:
    teacher, size = other(tiny_llama, padded=padded), len(tiny_llama.tokenizer)
    assert teacher.module.config.vocab_size == size + padded

    def naive(example: Example) -> torch.Tensor:
        with torch.no_grad():
            p = teacher.module(ids_of(tiny_llama, example)).logits[0, :, :size].softmax(1)
        q = tiny_llama.module(ids_of(tiny_llama, example)).logits[0].softmax(1)
        return (p * (p.log() - q.log())).sum(1).mean()

    equals_naive(tiny_llama, Distillation(teacher), EXAMPLES, naive)


def test_a_student_that_is_its_teacher_has_nothing_to_learn(tiny_llama: LanguageModel, make_bank) -> None:
    bank = make_bank(tiny_llama, 1)
    trainer = Trainer(tiny_llama, bank, TrainConfig(), objective=Distillation(tiny_llama, bank))
    assert trainer.run({0: EXAMPLES[:1]})[0].losses == [pytest.approx(0, abs=1e-6)]


def test_a_student_comes_nearer_to_a_teacher_in_the_same_bank(tiny_llama: LanguageModel, make_bank) -> None:
    bank = make_bank(tiny_llama, 2)
    bank.reset(0, seed=0)
    trainer = Trainer(tiny_llama, bank, TrainConfig(lr=0.01), objective=Distillation(tiny_llama, bank, 1))
    losses = trainer.run({0: EXAMPLES[:1] * 10})[0].losses
    assert losses[-1] < 0.5 * losses[0]


def test_refuses_what_cannot_be_distilled(tiny_llama: LanguageModel) -> None:
    with pytest.raises(InputError, match="temperature=0"):
        Distillation(tiny_llama, temperature=0)
    with pytest.raises(InputError, match="another model"):
        Distillation(other(tiny_llama), AdapterBank(tiny_llama.module, LoraConfig()))
    with pytest.raises(InputError, match="empty target"):
        Distillation(tiny_llama).lesson(tiny_llama, Example(target=""))
    tokenizer = copy.deepcopy(tiny_llama.tokenizer)
    tokenizer.add_tokens(["river"])
    stranger = LanguageModel(tiny_llama.module, tokenizer, "stranger")
    with pytest.raises(InputError, match="another vocabulary"):
        Distillation(stranger).lesson(tiny_llama, EXAMPLES[0])
