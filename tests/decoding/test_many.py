"""Many texts in the same passes, each with its own adapter, against one after another."""

from __future__ import annotations

import pytest
import torch

from whet.adaptation import AdapterBank, LoraConfig, TrainConfig, Trainer
from whet.adaptation.forms import FullConfig
from whet.decoding import Sampling, generate, generate_many, score_many, score_text
from whet.errors import InputError
from whet.models import LanguageModel
from whet.types import Example

PROMPTS = ("The cat sat on the", "def area(width, height):\n", "A", "for name in names: print(name) " * 3)


@pytest.fixture
def bank(tiny_model: LanguageModel) -> AdapterBank:
    bank = AdapterBank(tiny_model.module, LoraConfig(r=2), slots=5)
    draws = torch.Generator().manual_seed(0)
    bank.weights.copy_(torch.randn(bank.weights.shape, generator=draws) * 0.2)
    return bank


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_texts_equal_those_generated_alone(tiny_model: LanguageModel, bank: AdapterBank, temperature: float) -> None:
    sampling, slots = Sampling(max_tokens=12, temperature=temperature, seed=3, stop=("the",)), [3, 0, 4, 1]
    many = generate_many(tiny_model, PROMPTS, sampling, bank=bank, slots=slots)
    for prompt, slot, found in zip(PROMPTS, slots, many, strict=True):
        with bank.using(slot):
            assert generate(tiny_model, prompt, sampling) == found
    assert len({one.text for one in many}) > 1


def test_a_finished_text_is_read_no_more(tiny_llama: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    bank = AdapterBank(tiny_llama.module, LoraConfig(r=2), slots=2)
    read: list[int] = []
    forward = tiny_llama.module.forward
    monkeypatch.setattr(tiny_llama.module, "forward", lambda ids, **more: read.append(len(ids)) or forward(ids, **more))
    alone = generate(tiny_llama, PROMPTS[0], Sampling(max_tokens=10)).text
    read.clear()
    found = generate_many(
        tiny_llama, [PROMPTS[0], PROMPTS[3]], Sampling(max_tokens=10, stop=(alone[:3],)), bank=bank, slots=[0, 1]
    )
    assert found[0].finished == "stop"
    assert read[0] == 2
    assert read[-1] == 1


@pytest.mark.parametrize("packs", [True, False])
def test_scores_equal_those_alone(tiny_model: LanguageModel, bank: AdapterBank, packs: bool) -> None:
    texts = [" ".join(PROMPTS), "mat", "x = 1\n" * 40, "one two"]
    given = ["", "The cat sat on the ", "y = 2\n" * 60, "zero "]
    slots = [4, 1, 0, 2]
    tiny_model.reader.__dict__["packs"] = packs
    try:
        many = score_many(tiny_model, texts, given=given, bank=bank, slots=slots)
    finally:
        tiny_model.reader.__dict__["packs"] = True
    for text, ahead, slot, found in zip(texts, given, slots, many, strict=True):
        with bank.using(slot):
            alone = score_text(tiny_model, text, given=ahead)
        assert (found.tokens, found.bytes) == (alone.tokens, alone.bytes)
        assert found.nats == pytest.approx(alone.nats, rel=1e-5)


def test_wrong_use_is_named(tiny_llama: LanguageModel) -> None:
    bank = AdapterBank(tiny_llama.module, LoraConfig(r=2), slots=2)
    with pytest.raises(InputError, match="2 prompts and 1 slots"):
        generate_many(tiny_llama, ["a", "b"], Sampling(), bank=bank, slots=[0])
    for texts, slots in ((["a", ""], [0, 1]), (["a", "b"], [0, 0]), (["a"], [0, 1])):
        with pytest.raises(InputError, match="not empty"):
            score_many(tiny_llama, texts, bank=bank, slots=slots)


def test_a_form_that_has_one_slot_a_pass_is_scored_slot_by_slot(tiny_llama: LanguageModel) -> None:
    bank = AdapterBank(tiny_llama.module, FullConfig(), slots=2)
    for slot in range(2):
        bank.reset(slot, seed=slot)
    Trainer(tiny_llama, bank, TrainConfig(lr=3e-3)).run(
        {0: [Example(target="the cat sat")], 1: [Example(target="1 2")]}
    )
    texts = ["the cat", "3 4 5"]
    many = score_many(tiny_llama, texts, bank=bank, slots=[0, 1])
    for slot, text in enumerate(texts):
        with bank.using(slot):
            assert many[slot].nats == pytest.approx(score_text(tiny_llama, text).nats, rel=1e-5)
