"""The model that ships with whet: there, small, whole, and better than nothing."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

import whet.models
from whet.decoding import score_text
from whet.models import LanguageModel

FOLDER = Path(whet.models.__file__).parent / "whet_base"


@pytest.fixture(scope="module")
def base() -> LanguageModel:
    return LanguageModel.from_pretrained()


def test_it_is_small_and_safe() -> None:
    assert (FOLDER / "model.safetensors").stat().st_size <= 16_000_000
    assert {path.suffix for path in FOLDER.iterdir()} == {".json", ".safetensors", ".md"}


def test_it_computes_in_float32(base: LanguageModel) -> None:
    assert base.module.dtype == torch.float32
    assert base.context == 1024


def test_its_tokenizer_keeps_every_text(base: LanguageModel) -> None:
    for text in ("plain words", "  indented\n\tlines\r\n", "naïve 中文 🙂 \u2028", "<|end|>"):
        assert base.decode(base.encode(text)) == text


def test_it_knows_text_better_than_bytes_by_chance(base: LanguageModel) -> None:
    prose = "The President said that the people of the United States would remember what was done that day."
    code = "def __init__(self, name):\n    self.name = name\n\n    def __repr__(self):\n        return self.name\n"
    noise = "".join(chr(33 + (i * i * 31 + 7 * i) % 90) for i in range(120))
    for text in (prose, code):
        assert score_text(base, text).bits_per_byte < 3
    assert score_text(base, noise).bits_per_byte > 5
    assert math.isfinite(score_text(base, noise).nats)
