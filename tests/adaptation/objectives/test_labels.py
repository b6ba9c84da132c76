"""The choice between labels against the likelihood of each as a text of its own."""

from __future__ import annotations

import math

import pytest
import torch

from whet.adaptation import AdapterBank, LoraConfig, TrainConfig, Trainer
from whet.adaptation.objectives import Labels
from whet.adaptation.objectives.base import lesson_bits
from whet.errors import InputError
from whet.models import LanguageModel
from whet.types import Example

WORDS = (" good", " not so good", "\n", " bad")  # one of them a single token, one the end of another
LETTERS = ("A", "B", "C")
EXAMPLES = [Example("\n", "the plain:"), Example(" not so good", "stones on the way"), Example(" bad", "x")]
GRADES = [Example("B", "the plain:"), Example("A", "stones on the way"), Example("C", "x")]


def plain(model: LanguageModel, labels: tuple[str, ...], example: Example) -> torch.Tensor:
    given, scores = [model.start, *model.encode(example.input)], []
    for label in labels:
        ids = [*given, *model.encode(label)]
        logs = model.module(torch.tensor([ids])).logits[0].log_softmax(1)
        scores.append(sum(logs[i - 1, ids[i]] for i in range(len(given), len(ids))))
    return -torch.stack(scores).log_softmax(0)[labels.index(example.target)]


@pytest.mark.parametrize(("labels", "examples"), [(WORDS, EXAMPLES), (LETTERS, GRADES)])
def test_loss_and_gradient_equal_the_plain_ones(tiny_model: LanguageModel, equals_naive, labels, examples) -> None:
    equals_naive(tiny_model, Labels(labels), examples, lambda example: plain(tiny_model, labels, example))


def test_labels_of_one_token_are_read_together(tiny_llama: LanguageModel) -> None:
    assert len(Labels(LETTERS).lesson(tiny_llama, GRADES[0]).sequences) == 1
    assert len(Labels(WORDS).lesson(tiny_llama, EXAMPLES[0]).sequences) == len(WORDS)


def test_models_that_do_not_pack_choose_the_same(tiny_llama: LanguageModel, equals_naive) -> None:
    model = LanguageModel(tiny_llama.module, tiny_llama.tokenizer, "padded")
    model.reader.__dict__["packs"] = False
    equals_naive(model, Labels(WORDS), EXAMPLES, lambda example: plain(model, WORDS, example))


@pytest.mark.parametrize("form", [LoraConfig(r=2), LoraConfig(r=2, layers=1)])
def test_training_raises_the_share_of_the_right_label(tiny_llama: LanguageModel, form: LoraConfig) -> None:
    examples = [Example(label, "the plain:") for label in (" not so good", " bad")]
    bank = AdapterBank(tiny_llama.module, form, slots=2)
    for slot in (0, 1):
        bank.reset(slot, seed=slot)
    objective = Labels(WORDS)
    trainer = Trainer(tiny_llama, bank, TrainConfig(lr=0.01), objective=objective)
    traces = trainer.run({slot: [example] * 5 for slot, example in enumerate(examples)})
    for slot, example in enumerate(examples):
        before = traces[slot].losses[0]
        assert before == pytest.approx(plain(tiny_llama, WORDS, example).item() / math.log(2), rel=1e-3)
        with bank.using(slot):
            after = lesson_bits(tiny_llama, objective, objective.lesson(tiny_llama, example))
            assert after == pytest.approx(plain(tiny_llama, WORDS, example).item() / math.log(2), rel=1e-3)
        assert after < 0.9 * before


def test_a_long_input_keeps_its_last_part(tiny_model: LanguageModel) -> None:
    lesson = Labels(WORDS).lesson(tiny_model, Example(" good", "long words " * 100 + "end"))
    assert max(map(len, lesson.sequences)) == tiny_model.context - 1
    assert tiny_model.decode(list(lesson.given)).endswith("end")


def test_refuses(tiny_llama: LanguageModel) -> None:
    for labels in ((), ("one",), ("one", "one"), ("one", "")):
        with pytest.raises(InputError, match="labels="):
            Labels(labels)
    with pytest.raises(InputError, match="target 'fair'; give one of"):
        Labels(WORDS).lesson(tiny_llama, Example("fair", "input"))
    with pytest.raises(InputError, match="empty input"):
        Labels(WORDS).lesson(tiny_llama, Example(" bad"))
    with pytest.raises(InputError, match="longer than its context"):
        Labels(("one", "two " * 200)).lesson(tiny_llama, Example("one", "input"))
