"""What is learnt from an example, against a plain computation over the full logits."""

from __future__ import annotations

import math

import pytest
import torch

from whet.adaptation import OBJECTIVES, AdapterBank, LoraConfig, TrainConfig, Trainer
from whet.adaptation.objectives.base import read_lessons
from whet.errors import InputError
from whet.models import LanguageModel
from whet.types import Example


def plain_nats(model: LanguageModel, ids: list[int], learnt: int) -> float:
    logits = model.module(torch.tensor([ids])).logits[0].double()
    each = [-torch.log_softmax(logits[i], -1)[ids[i + 1]].item() for i in range(len(ids) - 1)]
    return sum(each[len(each) - learnt :]) / learnt


@pytest.mark.parametrize("objective", ["all", "completion"])
def test_loss_equals_plain_sum(tiny_model: LanguageModel, objective) -> None:
    example = Example(input="question: two and two?\n", target="four")
    part = OBJECTIVES[objective]().lesson(tiny_model, example)
    question, answer = tiny_model.encode(example.input), tiny_model.encode(example.target)
    learnt = len(answer) + (len(question) if objective == "all" else 0)
    with torch.inference_mode():
        reader, batch = tiny_model.reader, read_lessons(tiny_model.reader, [part, part])
        nats, again = OBJECTIVES[objective]().losses(reader, reader.hidden(batch), batch, [part, part]).tolist()
        assert nats == pytest.approx(plain_nats(tiny_model, [tiny_model.start, *question, *answer], learnt), rel=1e-4)
        assert nats == pytest.approx(again)
    assert part.bytes == len((example.text if objective == "all" else example.target).encode())
    assert part.bits_per_byte(nats) == pytest.approx(nats * learnt / math.log(2) / part.bytes)


@pytest.mark.parametrize("objective", ["all", "completion"])
def test_long_examples_fit_the_context(tiny_llama: LanguageModel, objective) -> None:
    for example in (
        Example(target="long words " * 500),
        Example(input="long words " * 500, target="short"),
        Example(input="long words " * 500, target="long words " * 500),
    ):
        part = OBJECTIVES[objective]().lesson(tiny_llama, example)
        assert len(part.ids) == tiny_llama.context
        assert part.learnt >= 1


def test_input_gives_way_to_the_target_only_in_part(tiny_llama: LanguageModel) -> None:
    part = OBJECTIVES["completion"]().lesson(tiny_llama, Example(input="in " * 500, target="out " * 500))
    assert part.learnt == tiny_llama.context - 1 - (tiny_llama.context - 1) // 2


def test_empty_target_is_refused(tiny_llama: LanguageModel) -> None:
    with pytest.raises(InputError, match="empty target"):
        OBJECTIVES["all"]().lesson(tiny_llama, Example(input="question", target=""))


def test_loss_and_gradient_equal_the_plain_ones(tiny_model: LanguageModel, equals_naive) -> None:
    def naive(example: Example) -> torch.Tensor:
        target = tiny_model.encode(example.target)
        ids = torch.tensor([[tiny_model.start, *tiny_model.encode(example.input), *target]])
        labels = ids.clone()
        labels[0, : -len(target)] = -100
        return tiny_model.module(ids, labels=labels).loss

    examples = [Example("four", "two and two?"), Example("a prompt alone"), Example("x = 1\n", "set x")]
    equals_naive(tiny_model, OBJECTIVES["completion"](), examples, naive)


def test_a_prompt_alone_is_learnt_in_a_few_steps(tiny_llama: LanguageModel) -> None:
    bank = AdapterBank(tiny_llama.module, LoraConfig(r=2))
    bank.reset(0, seed=0)
    trace = Trainer(tiny_llama, bank, TrainConfig(lr=0.01)).run({0: [Example(target="what is two and two?")] * 5})[0]
    assert trace.losses[-1] < trace.losses[0]
