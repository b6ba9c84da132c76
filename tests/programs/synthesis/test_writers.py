"""A model on this machine as a writer, against generating each text alone."""

from __future__ import annotations

import pytest

from whet.decoding import Sampling, generate
from whet.models import LanguageModel
from whet.programs.synthesis import LocalWriter, writers

PROMPTS = ["Write a program.\n", "A river carries stones to the plain. Write a program.\n"]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_answers_are_those_of_the_frozen_model(tiny_llama: LanguageModel, temperature: float) -> None:
    sampling = Sampling(max_tokens=12, temperature=temperature)
    answers = LocalWriter(tiny_llama, sampling).write(PROMPTS, 3, seed=5)
    for prompt, drawn in zip(PROMPTS, answers, strict=True):
        for draw, answer in enumerate(drawn):
            alone = Sampling(max_tokens=12, temperature=temperature, stop=("\n```",), seed=5 + draw)
            assert answer == "```python\n" + generate(tiny_llama, prompt + "```python\n", alone).text
    if temperature:
        assert len({answer for drawn in answers for answer in drawn}) == 6


def test_writing_ends_with_the_block_of_code(tiny_llama: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    stops: list[tuple[str, ...]] = []
    draw = writers.generate_many
    monkeypatch.setattr(
        writers, "generate_many", lambda *given, **named: stops.append(given[2].stop) or draw(*given, **named)
    )
    LocalWriter(tiny_llama, Sampling(max_tokens=2)).write(PROMPTS, 2, seed=0)
    assert stops == [("\n```",)] * 2


def test_a_prompt_longer_than_the_context_is_answered(tiny_llama: LanguageModel) -> None:
    answers = LocalWriter(tiny_llama, Sampling(max_tokens=4)).write(["long " * 1000, "short"], 1, seed=0)
    assert [len(drawn) for drawn in answers] == [1, 1]


def test_the_model_is_as_it_was_afterwards(tiny_llama: LanguageModel) -> None:
    before = generate(tiny_llama, PROMPTS[0], Sampling(max_tokens=8))
    LocalWriter(tiny_llama, Sampling(max_tokens=4)).write(PROMPTS, 1, seed=0)
    assert generate(tiny_llama, PROMPTS[0], Sampling(max_tokens=8)) == before
