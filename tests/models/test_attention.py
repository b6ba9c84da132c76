"""Attention of sequences that lie end to end against torch's own, one sequence at a time."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from whet.models import attention
from whet.models.attention import CausalAttention, attend


def random(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def plain(lengths: list[int], q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, ahead: int) -> torch.Tensor:
    """One sequence after the other, with a mask."""
    found, extra = [], ahead * len(lengths)
    own = zip(*(states.split(lengths) for states in (q, k[extra:], v[extra:])), strict=True)
    for place, (one, keys, values) in enumerate(own):
        part = slice(place * ahead, (place + 1) * ahead)
        keys, values = torch.cat([k[:extra][part], keys]), torch.cat([v[:extra][part], values])
        mask = torch.ones(len(one), len(keys), dtype=torch.bool).tril(ahead)
        states = (states.transpose(0, 1) for states in (one, keys, values))
        found.append(scaled_dot_product_attention(*states, mask, scale=0.3, enable_gqa=True).transpose(0, 1))
    return torch.cat(found)


@pytest.mark.parametrize("lengths", [[3, 3], [5], [1, 4, 4, 2, 1]])
@pytest.mark.parametrize("ahead", [0, 2])
@pytest.mark.parametrize("heads", [2, 4])
@pytest.mark.parametrize("blocks", [True, False])
def test_each_sequence_attends_to_itself(
    lengths: list[int], ahead: int, heads: int, blocks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if blocks:
        monkeypatch.setattr(attention, "_LONG", range(2, 100))
        monkeypatch.setattr(attention, "_BLOCK", 2)
    keys = sum(lengths) + ahead * len(lengths)
    shapes = ((sum(lengths), 4, 6), (keys, heads, 6), (keys, heads, 6))
    ours, others = ([random(*shape, seed=n).requires_grad_() for n, shape in enumerate(shapes)] for _ in range(2))
    one, two = attend(lengths, *ours, 0.3, ahead=ahead), plain(lengths, *others, ahead)
    torch.testing.assert_close(one, two)
    direction = random(*one.shape, seed=5)
    one.backward(direction)
    two.backward(direction)
    for mine, other in zip(ours, others, strict=True):
        torch.testing.assert_close(mine.grad, other.grad, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("tokens", [64, 130, 192])
def test_attention_in_blocks_and_its_gradients_equal_those_of_torch(tokens: int) -> None:
    ours, others = ([random(2, 3, tokens, 8, seed=n).requires_grad_() for n in range(3)] for _ in range(2))
    one, two = CausalAttention.apply(*ours, 0.5), scaled_dot_product_attention(*others, is_causal=True, scale=0.5)
    torch.testing.assert_close(one, two)
    (one * random(*one.shape, seed=4)).sum().backward()
    (two * random(*one.shape, seed=4)).sum().backward()
    for mine, other in zip(ours, others, strict=True):
        torch.testing.assert_close(mine.grad, other.grad, atol=1e-5, rtol=1e-4)
