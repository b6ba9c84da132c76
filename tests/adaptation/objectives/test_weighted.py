from __future__ import annotations

import math

import pytest
import torch

from whet.adaptation.objectives import Distillation, Labels, NextToken, Objective, Weighted
from whet.adaptation.objectives.base import read_lessons
from whet.errors import InputError
from whet.models import LanguageModel
from whet.types import Example

EXAMPLES = [Example(input="the river: ", target="stones"), Example(input="def f", target="plain"), Example("round")]
WEIGHTS = {EXAMPLES[0].id: 2.0, EXAMPLES[1].id: 0.0, EXAMPLES[2].id: 0.5}


def weight_of(example: Example) -> float:
    return WEIGHTS[example.id]


def test_loss_and_gradient_equal_the_plain_ones(tiny_model: LanguageModel, equals_naive) -> None:
    def naive(example: Example) -> torch.Tensor:
        ids = torch.tensor([[tiny_model.start, *tiny_model.encode(example.input), *tiny_model.encode(example.target)]])
        return WEIGHTS[example.id] * tiny_model.module(ids, labels=ids).loss

    equals_naive(tiny_model, Weighted(NextToken(), weight_of), EXAMPLES, naive)


@pytest.mark.parametrize("kind", ["next token", "labels", "distillation"])
def test_weight_two_doubles_the_gradient_of_any_objective(tiny_llama: LanguageModel, make_bank, kind: str) -> None:
    objective: Objective = {
        "next token": NextToken(),
        "labels": Labels(("stones", "plain")),
        "distillation": Distillation(tiny_llama),
    }[kind]
    bank = make_bank(tiny_llama, 2)

    def gradients(chosen: Objective) -> list[torch.Tensor]:
        lessons = [chosen.lesson(tiny_llama, example) for example in EXAMPLES[:2]]
        with bank.attached():
            batch = read_lessons(tiny_llama.reader, lessons)
            bank.route([0, 1], batch.rows, learn=True)
            chosen.losses(tiny_llama.reader, tiny_llama.reader.hidden(batch), batch, lessons).sum().backward()
            return [bank.gradient(0), bank.gradient(1)]

    (plain, _), (twice, nothing) = gradients(objective), gradients(Weighted(objective, weight_of))
    torch.testing.assert_close(twice, 2 * plain)
    assert not nothing.any()
    assert plain.any()


@pytest.mark.parametrize("weight", [-0.1, math.nan, math.inf])
def test_weights_that_are_none_are_refused(tiny_llama: LanguageModel, weight: float) -> None:
    with pytest.raises(InputError, match="weight_of gave"):
        Weighted(NextToken(), lambda _: weight).lesson(tiny_llama, EXAMPLES[0])
