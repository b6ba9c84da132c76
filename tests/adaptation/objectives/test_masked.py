"""Masked language modelling on a tiny BERT, against the loss that transformers computes."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from transformers import AutoModelForMaskedLM, BertConfig, RobertaConfig

from whet.adaptation import LoraConfig, TrainConfig, Trainer
from whet.adaptation.objectives import MaskedTokens
from whet.adaptation.objectives.base import read_lessons
from whet.errors import InputError
from whet.models import LanguageModel
from whet.types import Example

EXAMPLES = [Example("a river carries stones to the plain"), Example("def f(x):\n    return x"), Example("o", "n")]
ENCODER = LoraConfig(r=2, target_modules=("query", "value"))


@pytest.fixture(scope="module", params=[BertConfig, RobertaConfig])
def encoder(request: pytest.FixtureRequest, tiny_llama: LanguageModel) -> LanguageModel:
    tokenizer = copy.deepcopy(tiny_llama.tokenizer)
    tokenizer.add_special_tokens({"mask_token": "<m>", "cls_token": "<c>", "sep_token": "<s>"})
    config = request.param(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=64,
        initializer_range=0.1,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LanguageModel(AutoModelForMaskedLM.from_config(config), tokenizer, request.param.__name__)


def test_loss_and_gradient_equal_the_plain_ones(encoder: LanguageModel, equals_naive) -> None:
    objective = MaskedTokens(share=0.4, seed=3)

    def naive(example: Example) -> torch.Tensor:
        lesson = objective.lesson(encoder, example)
        labels = torch.full((1, len(lesson.ids)), -100)
        labels[0, list(lesson.places)] = torch.tensor(lesson.targets)
        return encoder.module(torch.tensor([lesson.ids]), labels=labels).loss

    # positions of RoBERTa do not begin at 0, so that it reads one length at a time
    examples = EXAMPLES if encoder.reader.packs else EXAMPLES[:1]
    equals_naive(encoder, objective, examples, naive, form=ENCODER)


def test_texts_that_would_see_padding_are_refused(encoder: LanguageModel) -> None:
    if encoder.reader.packs:
        pytest.skip("it needs no padding")
    lessons = [MaskedTokens().lesson(encoder, example) for example in EXAMPLES]
    batch = read_lessons(encoder.reader, lessons)
    with pytest.raises(InputError, match="see the padding"):
        MaskedTokens().losses(encoder.reader, encoder.reader.hidden(batch), batch, lessons)


def test_learns(encoder: LanguageModel, make_bank) -> None:
    bank = make_bank(encoder, 1, form=ENCODER)
    bank.reset(0, seed=0)
    trace = Trainer(encoder, bank, TrainConfig(lr=0.02, objective="masked")).run({0: EXAMPLES[:1] * 15})[0]
    assert trace.losses[-1] < 0.9 * trace.losses[0]


def test_tokens_are_masked_drawn_or_left_as_often_as_they_should(encoder: LanguageModel) -> None:
    kinds: list[str] = []
    for seed in range(100):
        example = Example("for name in names: print(name) " * 2)
        lesson, text = MaskedTokens(seed=seed).lesson(encoder, example), encoder.encode(example.text)
        whole = [encoder.tokenizer.cls_token_id, *text, encoder.tokenizer.sep_token_id]
        assert lesson.learnt == len(lesson.places) == len(set(lesson.places)) == round(0.15 * len(text))
        assert [whole[place] for place in lesson.places] == list(lesson.targets)
        for place, (read, wanted) in enumerate(zip(lesson.ids, whole, strict=True)):
            if place not in lesson.places:
                assert read == wanted
            elif read == encoder.tokenizer.mask_token_id:
                kinds.append("mask")
            else:
                kinds.append("left" if read == wanted else "drawn")
    shares = {kind: kinds.count(kind) / len(kinds) for kind in ("mask", "drawn", "left")}
    deviation = 4 * np.sqrt(0.25 / len(kinds))
    assert shares == {
        "mask": pytest.approx(0.8, abs=deviation),
        "drawn": pytest.approx(0.1, abs=deviation),
        "left": pytest.approx(0.1, abs=deviation),
    }


def test_draws_depend_on_seed_and_example_alone(encoder: LanguageModel) -> None:
    one, two = Example("one two three four five six"), Example("six five four three two one")
    again = Example("one two three four five six", meta={"from": "elsewhere"})
    lesson = MaskedTokens(seed=1).lesson(encoder, one)
    assert lesson == MaskedTokens(seed=1).lesson(encoder, again)
    different = [MaskedTokens(seed=seed).lesson(encoder, one).places for seed in range(5)]
    assert len(set(different)) > 1
    assert MaskedTokens(seed=1).lesson(encoder, two) != lesson


def test_a_long_text_fits_the_context(encoder: LanguageModel) -> None:
    assert len(MaskedTokens().lesson(encoder, Example("long words " * 100)).ids) == encoder.context


def test_refuses(encoder: LanguageModel, tiny_llama: LanguageModel) -> None:
    with pytest.raises(InputError, match="no mask token"):
        MaskedTokens().lesson(tiny_llama, EXAMPLES[0])
    with pytest.raises(InputError, match="is empty"):
        MaskedTokens().lesson(encoder, Example(""))
    for wrong in ({"share": 0.0}, {"share": 1.0}, {"seed": -1}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            MaskedTokens(**wrong)
