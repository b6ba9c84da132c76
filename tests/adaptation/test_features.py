"""Features of a frozen encoder: each text alone gives the same row, and is read once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from whet.adaptation.features import Features, PooledEncoder
from whet.adaptation.heads import HeadBank, HeadConfig
from whet.errors import InputError
from whet.models import LanguageModel

TEXTS = ["the cat sat on the mat", "a dog", "def f(x): return x", "a river carries stones to the plain"]


@pytest.fixture
def encoder(tiny_llama: LanguageModel) -> tuple[Any, Any]:
    """A random BERT and a tokenizer that has no token for padding."""
    from transformers import BertConfig, BertModel

    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = BertConfig(vocab_size=len(tiny_llama.tokenizer), max_position_embeddings=12, **shape)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return BertModel(config), tiny_llama.tokenizer


@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_rows_are_those_of_each_text_alone(encoder: tuple[Any, Any], pooling: Any) -> None:
    module, tokenizer = encoder
    found = PooledEncoder(module, tokenizer, pooling=pooling)(TEXTS)
    assert not module.training
    for text, row in zip(TEXTS, found, strict=True):
        ids = tokenizer(text, return_tensors="pt")["input_ids"][:, :12]
        states = module(input_ids=ids).last_hidden_state[0]
        torch.testing.assert_close(row, states.mean(0) if pooling == "mean" else states[0], atol=1e-5, rtol=1e-4)


def test_each_text_is_read_once() -> None:
    read: list[str] = []

    def encode(texts: Sequence[str]) -> np.ndarray:
        read.extend(texts)
        return np.array([[len(text), 1.0] for text in texts], dtype=np.float32)

    features = Features(encode)
    assert features(["a", "bcd", "a"]).tolist() == [[1, 1], [3, 1], [1, 1]]
    assert features(["ef", "bcd"]).tolist() == [[2, 1], [3, 1]]
    assert read == ["a", "bcd", "ef"]


def test_a_head_learns_from_features(encoder: tuple[Any, Any]) -> None:
    features, labels = Features(PooledEncoder(*encoder)), torch.tensor([0, 1, 2, 3])
    bank = HeadBank(HeadConfig(classes=4), 16)
    bank.fit({0: (features(TEXTS), labels)}, steps=300, lr=0.1)
    assert bank.predict_proba({0: features(TEXTS)})[0].argmax(1).tolist() == labels.tolist()


def test_wrong_use_is_named(encoder: tuple[Any, Any]) -> None:
    with pytest.raises(InputError, match="pooling='last'"):
        PooledEncoder(*encoder, pooling="last")
    for texts in ([], ["a", ""]):
        with pytest.raises(InputError, match=f"{len(texts)} texts"):
            Features(PooledEncoder(*encoder))(texts)
