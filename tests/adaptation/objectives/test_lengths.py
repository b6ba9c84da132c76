"""Examples longer than the context: cut, split into stretches of one lesson, or refused."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForMaskedLM, BertConfig

from whet.adaptation import OBJECTIVES, AdapterBank, LoraConfig, TrainConfig, Trainer
from whet.adaptation.objectives import TOO_LONG, Distillation, NextToken, Perplexity, SpanDenoising, Weighted
from whet.adaptation.objectives.base import Lesson, lesson_bits
from whet.adaptation.objectives.lengths import even_stretches
from whet.errors import InputError
from whet.models import LanguageModel
from whet.types import Example

TEXT = "the river carries many stones to the plain; "
LONG = Example(input=TEXT * 2, target=TEXT * 11)
SHORT = Example(target="short")


@given(st.lists(st.integers(), min_size=1, max_size=90), st.integers(1, 30))
def test_stretches_are_few_and_even_and_together_the_whole(tokens: list[int], room: int) -> None:
    stretches = even_stretches(tokens, room)
    assert [token for stretch in stretches for token in stretch] == tokens
    lengths = [len(stretch) for stretch in stretches]
    assert max(lengths) <= room
    assert max(lengths) - min(lengths) <= 1
    assert (len(stretches) - 1) * room < len(tokens)


def learnt(lesson: Lesson) -> list[int]:
    return [token for part in lesson.parts for token in part.ids[-part.learnt :]]


@given(texts=st.tuples(*[st.text("aé ☃\n", max_size=300)] * 2), completion=st.booleans())
def test_when_split_every_token_is_learnt_once(tiny_llama: LanguageModel, texts: tuple[str, str], completion) -> None:
    example = Example(input=texts[0], target=texts[1] + ".")
    lesson = NextToken(completion, too_long="split").lesson(tiny_llama, example)
    before = tiny_llama.encode(example.input)
    assert learnt(lesson) == before * (not completion) + tiny_llama.encode(example.target)
    assert lesson.learnt == len(learnt(lesson))
    assert lesson.bytes == len((example.target if completion else example.text).encode())
    assert max(len(part.ids) for part in lesson.parts) <= tiny_llama.context
    if completion:
        kept = {part.ids[1 : -part.learnt] for part in lesson.parts}
        assert len(kept) == 1
        assert before[len(before) - len(*kept) :] == list(*kept)


@pytest.mark.parametrize("completion", [False, True])
def test_loss_and_gradient_of_a_split_example_equal_the_plain_ones(
    tiny_model: LanguageModel, equals_naive, completion
) -> None:
    """The mean over all tokens, stretch by stretch through the model's own loss."""

    def naive(example: Example) -> torch.Tensor:
        given, target = tiny_model.encode(example.input), tiny_model.encode(example.target)
        before, text = ([], given + target) if not completion else (given[-((tiny_model.context - 1) // 2) :], target)
        room = tiny_model.context - 1 - len(before)
        count = -(-len(text) // room)
        total = torch.zeros(())
        for number in range(count):
            part = text[len(text) * number // count : len(text) * (number + 1) // count]
            ids = torch.tensor([[tiny_model.start, *before, *part]])
            labels = ids.clone()
            labels[0, : -len(part)] = -100
            total = total + tiny_model.module(ids, labels=labels).loss * len(part)
        return total / len(text)

    assert len(tiny_model.encode(LONG.text)) >= 2 * tiny_model.context
    equals_naive(tiny_model, NextToken(completion, too_long="split"), [SHORT, LONG, Example(TEXT * 8, "say:")], naive)


def test_a_split_example_is_one_step(tiny_llama: LanguageModel) -> None:
    bank = AdapterBank(tiny_llama.module, LoraConfig(r=2, layers=1), slots=2)
    for slot in (0, 1):
        bank.reset(slot, seed=0)
    config = TrainConfig(lr=0.01, too_long="split")
    traces = Trainer(tiny_llama, bank, config).run({0: [LONG, SHORT, LONG], 1: [SHORT, LONG]})
    assert [traces[slot].steps for slot in (0, 1)] == [3, 2]
    assert traces[0].losses[2] < traces[0].losses[0]
    tokens = len(tiny_llama.encode(LONG.input)) + len(tiny_llama.encode(LONG.target))
    assert traces[1].tokens == len(tiny_llama.encode(SHORT.text)) + tokens


@pytest.fixture(scope="module")
def encoder(tiny_llama: LanguageModel) -> LanguageModel:
    tokenizer = copy.deepcopy(tiny_llama.tokenizer)
    tokenizer.add_special_tokens({"mask_token": "<m>", "cls_token": "<c>", "sep_token": "<s>"})
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, initializer_range=0.1, **shape)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LanguageModel(AutoModelForMaskedLM.from_config(config), tokenizer, "tiny-bert")


@pytest.mark.parametrize("name", [*OBJECTIVES, "distillation", "weighted"])
def test_every_objective_keeps_its_word(tiny_llama: LanguageModel, encoder: LanguageModel, name: str) -> None:
    model = encoder if name == "masked" else tiny_llama
    makers = {
        **OBJECTIVES,
        "perplexity": lambda too_long: Perplexity(threshold=1.0, too_long=too_long),
        "distillation": lambda too_long: Distillation(tiny_llama, temperature=2.0, too_long=too_long),
        "weighted": lambda too_long: Weighted(NextToken(too_long=too_long), lambda _: 2.0),
    }
    cut, split, refuse = (makers[name](too_long=choice) for choice in TOO_LONG)
    for objective in (split, refuse):
        assert objective.lesson(model, SHORT) == cut.lesson(model, SHORT)
    assert len(cut.lesson(model, LONG).sequences) == 1
    with pytest.raises(InputError, match=rf"{LONG.id} has \d+ tokens, more than .* {model.context}; .*'split'.*'cut'"):
        refuse.lesson(model, LONG)
    whole = split.lesson(model, LONG)
    assert len(whole.sequences) == len(whole.stretches) > 1
    assert max(map(len, whole.sequences)) <= model.context
    assert whole.bits_per_byte(1.0) == pytest.approx(whole.learnt / whole.bytes * 1.442695, rel=1e-5)
    if name not in ("distillation", "perplexity"):  # the teacher read the whole; a weight belongs to the whole
        bits = [lesson_bits(model, split, part) * part.bytes for part in whole.stretches]
        scale = 2.0 if name == "weighted" else 1.0  # the parts have no weight of their own
        assert lesson_bits(model, split, whole) == pytest.approx(scale * sum(bits) / whole.bytes, rel=1e-4)


def test_a_model_is_distilled_from_the_stretches_that_it_reads(tiny_llama: LanguageModel) -> None:
    """From itself without an adapter there is nothing to learn."""
    objective = Distillation(tiny_llama, too_long="split")
    lesson = objective.lesson(tiny_llama, LONG)
    assert len(lesson.taught) == lesson.learnt
    assert lesson_bits(tiny_llama, objective, lesson) == pytest.approx(0, abs=1e-5)


def test_a_text_that_has_no_room_for_markers_is_refused(tiny_llama: LanguageModel) -> None:
    narrow = copy.copy(tiny_llama)
    narrow.module = copy.copy(tiny_llama.module)
    narrow.module.config = copy.deepcopy(tiny_llama.module.config)
    narrow.module.config.max_position_embeddings = 8
    with pytest.raises(InputError, match="too short for a text with markers"):
        SpanDenoising(too_long="split").lesson(narrow, LONG)


@pytest.mark.parametrize("make", [*OBJECTIVES.values(), TrainConfig], ids=[*OBJECTIVES, "config"])
def test_an_unknown_choice_is_refused(make) -> None:
    with pytest.raises(InputError, match="too_long='skip': give one of cut, split, refuse"):
        make(too_long="skip")
