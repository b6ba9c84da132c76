"""The cost formula against PyTorch's own count of the operations that are run."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from whet.models import LanguageModel, forward_flops


def _counted(model: LanguageModel, tokens: int) -> int:
    """Operations of a pass with plain attention; the fused kernel for the CPU is not counted by PyTorch."""
    usual = model.module.config._attn_implementation
    model.module.set_attn_implementation("eager")
    try:
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            model.module(torch.zeros(1, tokens, dtype=torch.long), use_cache=False)
    finally:
        model.module.set_attn_implementation(usual)
    return int(counter.get_total_flops())


@pytest.mark.parametrize("tokens", [1, 16, 64])
def test_forward_flops_are_what_pytorch_counts(tiny_model: LanguageModel, tokens: int) -> None:
    # plain attention also multiplies the half of the pairs that the causal mask throws away
    masked = 4 * tiny_model.layers * tiny_model.width * tokens * (tokens - 1) / 2
    assert forward_flops(tiny_model, tokens) + masked == _counted(tiny_model, tokens)


def test_a_pass_in_two_parts_costs_what_the_whole_costs(tiny_model: LanguageModel) -> None:
    parts = forward_flops(tiny_model, 20) + forward_flops(tiny_model, 30, before=20)
    assert parts == forward_flops(tiny_model, 50)


def test_matrices_are_all_weights_but_embeddings_biases_and_norms(tiny_llama: LanguageModel) -> None:
    attention = 32 * 32 * 2 + 32 * 16 * 2  # queries and output; keys and values with half the heads
    feed_forward = 3 * 32 * 64
    vocabulary = len(tiny_llama.tokenizer)
    assert tiny_llama.matrix_parameters == 2 * (attention + feed_forward) + 32 * vocabulary
