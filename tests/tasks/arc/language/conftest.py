"""A tiny random model of the minimal vocabulary, and a task."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from whet.models import LanguageModel
from whet.tasks.arc import ArcTask, Pair, as_grid
from whet.tasks.arc.language import CellTokens, minimal, minimal_tokenizer


class Clock:
    """Stands still, but for what is added to `now`."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def model() -> LanguageModel:
    """A random Llama of 16 tokens in float64 with a context of 256."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=16,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=256,
        initializer_range=0.3,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LanguageModel(LlamaForCausalLM(config).double(), minimal_tokenizer(), "tiny")


@pytest.fixture(scope="session")
def serialisation() -> CellTokens:
    return minimal(minimal_tokenizer())


@pytest.fixture(scope="session")
def task() -> ArcTask:
    """Four grids flipped from left to right, and two to flip."""
    rng = np.random.default_rng(0)
    grids = [as_grid(rng.integers(0, 10, (2, 3))) for _ in range(6)]
    train = tuple(Pair(grid, as_grid(np.fliplr(grid))) for grid in grids[:4])
    return ArcTask("flip", train, tuple(grids[4:]))
