"""Infilling: what was taken out and what was left make the text again, and the loss is that of the spans."""

from __future__ import annotations

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from whet.adaptation.objectives import SpanDenoising
from whet.errors import InputError
from whet.models import LanguageModel
from whet.types import Example

texts = st.text("abc def\n", min_size=1, max_size=60)
MARKER = re.compile(r"<mask:(\d+)>")


def parts(model: LanguageModel, objective: SpanDenoising, text: str) -> tuple[str, str]:
    lesson = objective.lesson(model, Example(text))
    given, learnt = list(lesson.ids[: -lesson.learnt]), list(lesson.ids[-lesson.learnt :])
    assert given.pop(0) == model.start
    assert lesson.bytes == len(model.decode(learnt).encode())
    return model.decode(given), model.decode(learnt)


@settings(max_examples=50)
@given(text=texts, seed=st.integers(0, 9), share=st.sampled_from([0.15, 0.5, 0.9]), span=st.sampled_from([1.0, 3.0]))
def test_spans_put_back_make_the_text(tiny_llama: LanguageModel, text: str, seed: int, share: float, span) -> None:
    given, learnt = parts(tiny_llama, SpanDenoising(share, span, seed), text)
    spans = MARKER.split(learnt)
    assert spans[0] == spans[-1] == ""
    assert spans[1::2] == [str(number) for number in range(len(spans) // 2)]
    found = MARKER.sub(lambda marker: spans[2 * int(marker[1]) + 2], given)
    assert text.startswith(found)
    if len(tiny_llama.encode(text)) < 6:  # with a marker of some tokens for each, twice, it still fits the context
        assert found == text


def test_as_many_tokens_are_taken_out_as_asked_for(tiny_llama: LanguageModel) -> None:
    text = "the stones grow round on the way to the plain"
    tokens = len(tiny_llama.encode(text))
    for share in (0.01, 0.15, 0.5):
        _, learnt = parts(tiny_llama, SpanDenoising(share), text)
        taken = sum(len(tiny_llama.encode(span)) for span in MARKER.split(learnt)[2::2])
        assert taken == pytest.approx(max(1, round(share * tokens)), abs=2)  # cut spans may be encoded otherwise


def test_loss_and_gradient_equal_the_plain_ones(tiny_model: LanguageModel, equals_naive) -> None:
    objective = SpanDenoising(seed=4)

    def naive(example: Example) -> torch.Tensor:
        lesson = objective.lesson(tiny_model, example)
        ids = torch.tensor([lesson.ids])
        labels = ids.clone()
        labels[0, : -lesson.learnt] = -100
        return tiny_model.module(ids, labels=labels).loss

    equals_naive(tiny_model, objective, [Example("one two three"), Example("def f(x):"), Example("a")], naive)


def test_draws_depend_on_seed_and_example_alone(tiny_llama: LanguageModel) -> None:
    example, again = Example("one two three four"), Example("one two three four", meta={"from": "elsewhere"})
    assert SpanDenoising().lesson(tiny_llama, example) == SpanDenoising().lesson(tiny_llama, again)
    assert len({SpanDenoising(seed=seed).lesson(tiny_llama, example) for seed in range(5)}) > 1


def test_a_long_text_fits_the_context(tiny_model: LanguageModel) -> None:
    lesson = SpanDenoising().lesson(tiny_model, Example("long words " * 100))
    assert tiny_model.context - 20 < len(lesson.ids) <= tiny_model.context


def test_refuses(tiny_llama: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="is empty"):
        SpanDenoising().lesson(tiny_llama, Example(""))
    for wrong in ({"share": 0.0}, {"span": 0.5}, {"seed": -1}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            SpanDenoising(**wrong)
    monkeypatch.setattr(tiny_llama.module.config, "max_position_embeddings", 8)
    with pytest.raises(InputError, match="too short"):
        SpanDenoising().lesson(tiny_llama, Example("some words"))
